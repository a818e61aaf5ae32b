"""The shell blocks of the project's pages: which are run, and why the others are not.

A fence ```bash is a block that is run as it stands. Words behind `bash` say more:

    terminal=NAME   runs in a terminal of its own and may stay there; a later block for the same terminal comes after a
                    Ctrl-C. The next block does not wait for its end
    fails           its last command ends with another exit code than 0
    needs-...       is not run, see NOT_RUN

A fence without a language holds output, requests, or commands that are not run.
"""

import re
import shlex

from .documents import PAGES, SOURCE_DIR

# What a block needs that no test can give.
NOT_RUN = {
    "needs-root": "changes the machine that it is run on",
    "needs-systemd": "speaks to the machine's service manager",
    "needs-servers": "is about several machines",
    "needs-engine": "starts an engine that has a model, and a GPU for most",
    "needs-network": "downloads something",
}
# Commands that install, build or test: this test is run by them.
EXCEPTIONS = {
    "scripts/build.sh": "builds; what it built is what is tested here",
    "scripts/test.sh": "would run this test again",
    "scripts/install_deps.sh": "installs packages; the first step of .ci/run",
    "scripts/quickstart.sh": "installs and builds; has a test of its own",
    ".ci/run": "would run this test again",
}
# Would find processes of anybody on the machine.
FOREIGN = ("killall", "pgrep", "pidof", "pkill")
LANGUAGES = ("", "bash", "ini", "json", "mermaid", "python", "toml", "yaml")

PAGES = [*PAGES, SOURCE_DIR / "bench" / "README.md"]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.S | re.M)
_TERMINAL = re.compile(r"terminal=[\w-]+")


class Block:
    """`line`: of its first command in the page, from 1 on."""

    def __init__(self, page, line, language, words, text):
        self.page = page
        self.line = line
        self.language = language
        self.words = words
        self.text = text

    @property
    def where(self):
        return f"{self.page}:{self.line}"

    @property
    def terminal(self):
        return next((word.split("=")[1] for word in self.words if _TERMINAL.fullmatch(word)), None)

    @property
    def fails(self):
        return "fails" in self.words

    def commands(self):
        """The first words of the lines that begin a command; assignments before them left out."""
        joined = re.sub(r"\\\n", " ", self.text)
        found = (re.match(r"(?:\w+=\S* +)*([^\s#]\S*)", line) for line in joined.splitlines())
        return [match[1] for match in found if match]

    def why_not_run(self):
        """A reason, or None: it is run."""
        for word in self.words:
            if word in NOT_RUN:
                return NOT_RUN[word]
        reasons = [EXCEPTIONS.get(command) for command in self.commands()]
        return next(filter(None, reasons), None)

    def mistakes(self):
        """What of its marks is not as this file says."""
        found = []
        if self.language not in LANGUAGES:
            found.append(f"{self.where}: a block of {self.language}; a shell block that is run is bash, others have no "
                         f"language; known: {' '.join(LANGUAGES)}")
        for word in self.words:
            if self.language != "bash" or not (word in NOT_RUN or word == "fails" or _TERMINAL.fullmatch(word)):
                found.append(f"{self.where}: '{word}' is no mark of a block; known: terminal=NAME fails "
                             f"{' '.join(NOT_RUN)}")
        if self.language == "bash" and self.why_not_run() is None:
            found += [f"{self.where}: {word} would find the processes of others as well; use $! or %1"
                      for word in FOREIGN if re.search(rf"\b{word}\b", self.text)]
        exceptions = {command in EXCEPTIONS for command in self.commands()}
        if self.language == "bash" and exceptions == {True, False} and not set(self.words) & set(NOT_RUN):
            found.append(f"{self.where}: commands that are never run ({' '.join(EXCEPTIONS)}) stand in a block with "
                         "others; make two of it")
        return found


def name_of(path):
    """As in a message: from the project's folder on."""
    return str(path.relative_to(SOURCE_DIR)) if path.is_relative_to(SOURCE_DIR) else path.name


def blocks_of(path):
    """The fenced blocks of a page, in order."""
    name = name_of(path)
    text = path.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        language, *words = fence["info"].split() or [""]
        line = text.count("\n", 0, fence.start("text")) + 1
        body = re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.M)
        found.append(Block(name, line, language, words, body))
    return found


def runnable(path):
    """The blocks of a page that are run, in order."""
    return [block for block in blocks_of(path) if block.language == "bash" and block.why_not_run() is None]


def scripts_named(block):
    """The project's files that its commands start."""
    words = shlex.split(re.sub(r"\\\n", " ", block.text), comments=True)
    return {word for word in words if re.fullmatch(r"(scripts|systemd)/[\w./-]+\.sh", word)}
