"""Random command lines for `train.py`: valid ones, ones with a fault in them, and plain noise, as hypothesis strategies."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from losslab.schema import cards, compatibility

HYDRA_KEYS = (
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.sweep.subdir",
    "hydra.mode",
    "hydra.output_subdir",
    "hydra.job.name",
    "hydra.job.chdir",
    "hydra.job.num",
    "hydra.sweeper.params",
    "hydra.sweeper.max_batch_size",
    "hydra.sweeper",
    "hydra.launcher",
    "hydra.verbose",
    "hydra.searchpath",
    "hydra.runtime.cwd",
    "hydra/launcher",
    "hydra/sweeper",
    "hydra/job_logging",
    "hydra/output",
    "hydra",
)
FLAGS = [
    "-m",
    "--multirun",
    "-mm",
    "--run",
    "-r",
    "--resolve",
    "-p",
    "--package",
    "--foo",
    "-x",
    "--",
    "-",
    "--cfg",
    "-c",
    "job",
    "--info",
    "--help",
    "-h",
    "--version",
    "-sc",
    "install=bash",
]
SHOWN = (
    *("--help", "-h --info", "--hydra-help", "--info", "--info=defaults", "--info=config", "--info=defaults-tree"),
    *("--info=searchpath", "--info=plugins", "--cfg=job", "--cfg=job --resolve", "--cfg=all --resolve", "--cfg=hydra"),
    *("--cfg=job --package=loss", "--cfg=all --resolve --package=hydra.run", "--cfg=all --package=loss..name"),
)
COMPLETIONS = (
    "install=bash",
    "uninstall=fish",
    "query=zsh",
    "install=x",
    "query=",
    "bash",
    "install=bash query=bash",
    "",
)
_WITHOUT_SPACES = r"""
null true false nan inf -inf 1e999 -0.0 0 -1 1 0.5 2 1e-3 10 9223372036854775807 9223372036854775808 1_000 0x10 0b1 1. .5 5e-324
[] [1] [0.9,0.999] [1,2,3] [[1,2],[3]] [null] [true] [a,b] [1 1] {} {a:1} {a:{b:2}} {a } ' " '' "" "a,b" a,b 0,1 1,,2 , a=b = ==
a:b \ \' # % !!x * &a ${seed} ${nothing} ${loss} ${seed ${} ${${seed}} ${oc.env:HOME} ${oc.env:NOWHERE} ${oc.env:NOWHERE,1}
${eval:1+1} ${run_id:} ${hydra:job.num} ${hydra:runtime.cwd} ${now:%Y} ${oc.create:{a:1}} ${oc.decode:1} ${oc.decode:'['} ${.}
${..seed} ${...} ??? ${data} ${data.rows} ${oc.deprecated:seed} ${oc.dict.keys:data} ${oc.select:x,1} range(3) range(0,3) range(3,0)
range(0,10,0) range(1,2,0.25) range() range(a) choice() choice(0,1) choice(a) glob(*) glob(m*) glob(*,exclude=m*) glob() glob(zzz)
interval(0,1) sort(3,1,2) shuffle(1,2,3) tag(a,0,1) int(3.5) float(1) str(1) bool(x) int(x) cast(1) extend_list(1) int(0,1) sort()
range(0,1000000000000) range(0,1,1e-12) shuffle(range(0,1e12)) mse 'nan*l1' 'l1+l1' 'huber(delta=1' '1e400*l1' 'huber(delta=[1,2])+l1'
'huber(delta)+l1' 'huber(=)+l1' 'huber(delta=*a)+l1' 'huber(delta=2026-13-45)+l1' 'huber(delta=1_0)+l1' 'huber(delta=0x1)+l1'
../x ../../../../x / /proc/self/x /dev/null /nowhere/x ~ . .. a/b os.system os:system builtins:eval losslab.models:linear
losslab.models:nothing nothing:x a..b:c :x x: class:x {_target_:os.system} {_target_:builtins.eval,_args_:[1]}
"""
WILD = (
    *_WITHOUT_SPACES.split(),
    *(
        "",
        " ",
        "a b",
        "'a b'",
        "l1 + mse",
        "'2*l1 + 0.5*mse'",
        "'2*l1 +'",
        "'huber(delta=-1) + l1'",
        "'sum + l1'",
        "[1, 2]",
    ),
    *(
        "'huber(delta={a: 1})+l1'",
        "'huber(delta=!!python/object/apply:os.system [id])+l1'",
        str(10**30),
        "-" + str(10**400),
    ),
    *(
        "\u00e9",
        "\u65e5\u672c",
        "\U0001f642",
        "\u200b",
        "\t",
        "\n",
        "a\nb",
        "\udcff",
        "\x1b[31m",
        "\x7f",
        "\u0661",
        "\u00bd",
    ),
    *(
        "a" * 300,
        "a" * 5000,
        "x/" * 3000,
        "[" * 200,
        "[" * 50 + "]" * 50,
        "{a:" * 40 + "1" + "}" * 40,
        "(" * 50,
        "'" * 99,
    ),
    *("${" * 50, ",".join("0123456789" * 30)),
)
TYPICAL = (
    "0.5",
    "1",
    "2",
    "0",
    "10",
    "0.1",
    "[8]",
    "[8,8]",
    "true",
    "false",
    "1e-2",
    "40",
    "[0.9,0.99]",
    "[train,val]",
    "word",
    "0,1",
    "0.1,0.2",
)


def keys() -> list[str]:
    """The dotted name of every setting of every file under conf/, and of every group."""
    found = [key for key, value in cards.card("", "config").values.items() if not isinstance(value, dict)]
    found += [f"penalty.{inner}" for inner in ("l1", "l2")] + [f"fused.{inner}" for inner in ("size", "audit")]
    for group in (*cards.GROUPS, "study"):
        for name in cards.names(group):
            found += [f"{group}.{key}" for key in cards.card(group, name).values]
    tuning = cards.card("study", "fair").values["tuning"]
    found += [f"study.tuning.{key}" for key in tuning] + ["study.axes.corruption.fraction", "study.axes.data"]
    return sorted({*found, *cards.GROUPS, "study", "experiment", "penalty", "fused"})


def own_value(key: str) -> st.SearchStrategy[str]:
    """Values that a key may well take."""
    if key in (*cards.GROUPS, "study", "experiment"):
        return st.sampled_from(cards.names(key) or ("none",))
    return st.sampled_from(TYPICAL)


def mistyped(word: str) -> st.SearchStrategy[str]:
    """A word with one letter left out, doubled, changed or swapped with the next."""

    def change(place: int, how: str) -> str:
        here = place % len(word)
        before, letter, after = word[:here], word[here], word[here + 1 :]
        return {
            "drop": before + after,
            "double": before + letter * 2 + after,
            "change": before + ("x" if letter != "x" else "y") + after,
            "swap": before + after[:1] + letter + after[1:],
        }[how]

    return st.builds(change, st.integers(0, 60), st.sampled_from(["drop", "double", "change", "swap"]))


KEYS = keys()
noise = st.text(st.characters(exclude_characters="\0"), max_size=12)
wild = st.sampled_from(WILD) | noise | st.integers().map(str) | st.floats().map(repr)


@st.composite
def overrides(draw: st.DrawFn) -> str:
    """One word of a command line."""
    kind = draw(st.sampled_from(["own"] * 9 + ["wild"] * 5 + ["typo", "hydra", "prefix", "noise", "package"]))
    key = draw(st.sampled_from([*KEYS, *(cards.GROUPS * 6), "experiment", "study"]))
    if kind == "own":
        return f"{key}={draw(own_value(key))}"
    if kind == "wild":
        return f"{key}={draw(wild)}"
    if kind == "typo":
        return f"{draw(mistyped(key))}={draw(own_value(key))}"
    if kind == "hydra":
        return f"{draw(st.sampled_from(HYDRA_KEYS))}={draw(wild)}"
    if kind == "prefix":
        mark = draw(st.sampled_from(["+", "++", "~", "~~", "+~", "-", "="]))
        value: Any = draw(st.one_of(st.none(), wild, own_value(key)))
        inner = draw(st.sampled_from(["", "", ".x", "._target_", ".about", ".name", "._args_", ".0"]))
        return f"{mark}{key}{inner}" + ("" if value is None else f"={value}")
    if kind == "package":
        return f"{key}@{draw(st.sampled_from(['_global_', 'x', 'loss', '', ':', 'a:b', '_here_', 'data.rows']))}={draw(own_value(key))}"
    return draw(st.sampled_from(FLAGS) | st.sampled_from(WILD) | noise)


@st.composite
def fitting(draw: st.DrawFn) -> list[str]:
    """Groups that mostly fit one another, so that what follows them is looked at."""
    task = draw(st.sampled_from(cards.names("task")))
    words = [f"task={task}"]
    for group in ("data", "corruption", "loss"):
        if draw(st.booleans()):
            words.append(f"{group}={draw(st.sampled_from(compatibility.fitting(group, task)))}")
    for group in ("model", "optimizer", "logger"):
        if draw(st.integers(0, 3)) == 0:
            words.append(f"{group}={draw(st.sampled_from(cards.names(group)))}")
    if draw(st.booleans()):  # a key that the chosen files have
        group = draw(st.sampled_from(["task", "data", "corruption", "loss", "model", "optimizer"]))
        name = dict(word.split("=") for word in words).get(group)
        own = [key for key in (cards.card(group, name).values if name else {}) if key != "name"]
        if own:
            words.append(f"{group}.{draw(st.sampled_from(own))}={draw(wild | st.sampled_from(TYPICAL))}")
    return words


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A whole command line: the words after `train.py`."""
    words = draw(st.just([]) | fitting())
    if draw(st.integers(0, 12)) == 0:
        words = [
            *words,
            "study=fair",
            draw(st.sampled_from(["study.losses=[mse,l1]", "study.losses=[huber,'2*l1 + mse']"])),
        ]
    words = [*words, *draw(st.lists(overrides(), max_size=4))]
    if draw(st.integers(0, 2)) == 0:
        words = ["-m", *words]
    if draw(st.integers(0, 20)) == 0:  # what is shown and not run, wherever in the line
        for flag in draw(st.sampled_from(SHOWN)).split():
            words.insert(draw(st.integers(0, len(words))), flag)
    if draw(st.integers(0, 50)) == 0:
        words = ["-sc", *draw(st.sampled_from(COMPLETIONS)).split()]
    return words
