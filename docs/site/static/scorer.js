// How the search ranks what it finds: Sphinx's own scores, with pages of questions and guides before those of single losses.
const FIRST = [["docs/questions", 8], ["docs/", 5], ["gallery/", 3], ["catalogue/", -2]];
window.Scorer = {
  score: ([page, , , , score]) => score + (FIRST.find(([start]) => page.startsWith(start)) ?? ["", 0])[1],
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
