"""The rules of the house, as far as a text search can check them: who may include whom, which
headers the pure rooms must not see, which room owns which library, and how large things may grow.

layout.py --root DIR prints one line a finding and ends with 1 where there is one. A new edge
between rooms is a decision: it is made in docs/architecture.md and in EDGES, not in passing.
"""
import ast
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from findings import report  # noqa: E402

ROOMS = ("base", "crypto", "raft", "kv", "storage", "node", "http", "json", "io", "peer", "ui",
         "api", "server", "app")
ALL = frozenset(ROOMS)

# Room -> rooms that it may include, beside itself.
EDGES = {
    "base": frozenset(),
    "crypto": frozenset({"base"}),
    "raft": frozenset({"base"}),
    "kv": frozenset({"base"}),
    "storage": frozenset({"base", "raft"}),
    "http": frozenset({"base"}),
    "json": frozenset({"base"}),
    "io": frozenset({"base", "crypto", "storage"}),
    "node": frozenset({"base", "raft", "kv", "storage"}),
    "peer": frozenset({"base", "crypto", "http", "io", "node", "raft"}),
    "ui": frozenset(),
    "api": frozenset({"base", "crypto", "http", "json", "kv", "node", "ui"}),
    "server": ALL - {"app"},
    "app": ALL,
}
# Where a room may see only some headers of another.
ONLY_HEADERS = {("io", "storage"): frozenset({"storage/fs.hpp"})}
# The simulator runs the production node without the shell around it.
SIMULATOR = frozenset({"base", "raft", "kv", "storage", "node"})

PURE = ("raft", "kv", "node")
IMPURE_HEADERS = frozenset("""
    chrono ctime time.h sys/time.h random thread stop_token mutex shared_mutex condition_variable
    atomic stdatomic.h future semaphore latch barrier pthread.h signal.h csignal
    iostream fstream ostream istream cstdio stdio.h filesystem
    unistd.h fcntl.h poll.h netdb.h uv.h unordered_map unordered_set
    """.split())
IMPURE_PREFIXES = ("sys/", "netinet/", "arpa/", "net/", "linux/")

# Library -> files that may include it, as a pattern of paths.
LIBRARIES = (
    (re.compile(r"^llhttp"), re.compile(r"^src/http/parser")),
    (re.compile(r"^rapidjson/"), re.compile(r"^src/json/")),
    (re.compile(r"^uv\.h$"), re.compile(r"^src/io/")),
    (re.compile(r"^xxhash\.h$"), re.compile(r"^src/base/")),
    (re.compile(r"^spdlog/"), re.compile(r"^src/base/")),
    # <fmt/core.h> comes with base/log.hpp to everybody; the heavy headers behind it do not.
    (re.compile(r"^fmt/(?!core\.h$)"), re.compile(r"^src/base/")),
    (re.compile(r"^CLI/"), re.compile(r"^src/app/")),
    (re.compile(r"^openssl/"), re.compile(r"^(src|tests)/crypto/")),
    (re.compile(r"^doctest/"), re.compile(r"^tests/")),
)

TOP_FOLDERS = frozenset({"src", "subprojects", "tests", "scripts", "docs"})
NOT_OURS = re.compile(r"^(build.*|vesper-data)$")
MAX_LINES = 599
MAX_FUNCTION = 69
MAX_COLUMNS = 100
TEXTS = (".cpp", ".hpp", ".py", ".sh", ".js", ".mjs", ".css", ".html",
         "meson.build", ".ci/run")

LABELS = re.compile(r"\s*(?:(?:public|private|protected)\s*:\s*)*")
MEMBER = re.compile(r"\s*[,{]")  # behind the '}' of an initialised member of a constructor
STATIC = re.compile(r"\bstatic\s+(?!const\b|constexpr\b|inline\s+const)[\w:<>,*&\s]+[;={]")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
TOKENS = re.compile(
    r'R"([^()\s\\]{0,16})\(.*?\)\1"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f_])'(?:\\.|[^'\\\n])+'"
    r"|//[^\n]*|/\*.*?\*/",
    re.DOTALL)


def without_text(source):
    """The source without comments and the inside of literals; lines stay where they are."""

    def blank(match):
        text = match.group(0)
        kept = "\n" * text.count("\n")
        return ('""' if text[0] in 'R"' else "0" if text[0] == "'" else "") + kept

    return TOKENS.sub(blank, source)


def room_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "src" else None


def check_includes(path, source):
    """Edges, forbidden headers and owners of libraries."""
    room = room_of(path)
    for match in INCLUDE.finditer(source):
        header = match.group(2)
        where = f"{path}:{source.count(chr(10), 0, match.start(2)) + 1}"
        target = header.split("/")[0] if "/" in header else None
        if path.startswith("tests/sim/") and target in ROOMS and target not in SIMULATOR:
            yield f"{where}: edge: tests/sim may not include {target}/"
        for library, owner in LIBRARIES:
            if library.search(header) and not owner.search(path):
                yield f"{where}: library: {header} may be included by {owner.pattern} only"
        if room is None:
            continue
        if match.group(1) == '"' and target not in ROOMS:
            yield f'{where}: include: "{header}" does not begin with a room'
        if target in ROOMS and target != room:
            yield from check_edge(where, room, target, header)
        if room in PURE and (header in IMPURE_HEADERS or header.startswith(IMPURE_PREFIXES)):
            yield f"{where}: pure: <{header}> may not be included in {room}/"


def check_edge(where, room, target, header):
    if target not in EDGES.get(room, frozenset()):
        yield f"{where}: edge: {room} may not include {target}/"
    only = ONLY_HEADERS.get((room, target))
    if only is not None and header not in only:
        yield f"{where}: edge: {room} may include only {', '.join(sorted(only))} of {target}/"


def check_text(path, source, code, has_header):
    """What a file of src/ says of itself and must not say. A .cpp is described by its header."""
    room = room_of(path)
    if path.startswith("src/") and not has_header and not source.startswith("//"):
        yield f"{path}:1: head: a file begins with one to five lines on what lives here"
    if path.endswith(".hpp") and "#pragma once" not in code:
        yield f"{path}:1: guard: a header has #pragma once"
    for number, line in enumerate(code.split("\n"), 1):
        if room in PURE and re.search(r"\bunordered_(map|set|multimap|multiset)\b", line):
            yield f"{path}:{number}: pure: an unordered container makes runs differ"
        if room in PURE and re.search(r"\bthread_local\b|\bvolatile\b", line):
            yield f"{path}:{number}: pure: no thread_local or volatile"
        if room is not None and re.search(r"\bthrow\b", line):
            yield f"{path}:{number}: throw: errors are Result<T>, programmer errors VESPER_ASSERT"
        if room is not None and re.search(r"\bformat_to\b", line):
            # GCC and clang 14 give the function in libfmt 9 that it calls different names.
            yield f"{path}:{number}: fmt: clang cannot link format_to(); append format()"
        if room in PURE and STATIC.search(line):
            yield f"{path}:{number}: pure: static state makes two nodes of one process share it"


def check_sizes(path, source):
    lines = source.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    if len(lines) > MAX_LINES:
        yield f"{path}: size: {len(lines)} lines, at most {MAX_LINES}"
    for number, line in enumerate(lines, 1):
        # A raw string is data, and neither a person nor clang-format can break it.
        data = path.startswith("tests/") and 'R"' in line
        if len(line) > MAX_COLUMNS and not data and not path.endswith("meson.build"):
            yield f"{path}:{number}: width: {len(line)} columns, at most {MAX_COLUMNS}"
        if line != line.rstrip():
            yield f"{path}:{number}: blank: space at the end of the line"
        if "\t" in line:
            yield f"{path}:{number}: blank: a tab"


def cpp_functions(code):
    """(first line, number of lines) of every function, by the depth of braces. What opens at the
    depth of namespaces and classes behind a ')' is a function; initialisers follow a '='."""
    scopes = []  # True: namespace or type, in which functions are looked for
    head_from = 0
    begins = None
    depth = 0
    for match in re.finditer(r"[{};]|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", code, re.MULTILINE):
        token = match.group(0)
        if token == "{":
            head = code[head_from:match.start()]
            if begins is None:
                kind = scope_kind(head)
                if kind == "function":
                    begins = (head_from + LABELS.match(head).end(), depth)
                scopes.append(kind == "scope")
            depth += 1
        elif token == "}":
            depth -= 1
            if begins is None:
                if scopes:
                    scopes.pop()
            elif depth == begins[1] and not MEMBER.match(code, match.end()):
                first = code.count("\n", 0, begins[0]) + 1
                yield first, code.count("\n", 0, match.start()) + 2 - first
                begins = None
                scopes.pop()
        if begins is None:
            head_from = match.end()


def scope_kind(head):
    head = head[LABELS.match(head).end():].strip()
    head = re.sub(r"^template\s*<[^{}]*?>\s*(?=class|struct|union)", "", head, flags=re.DOTALL)
    if re.match(r"(inline\s+)?namespace\b|(typedef\s+)?(class|struct|union)\b|extern\b", head):
        # A function may return "struct tm": it ends with a ')' where a type ends with its name.
        ends_as_function = re.search(r"\)\s*(const|noexcept|override|final|\s)*$", head)
        return "function" if ends_as_function else "scope"
    if re.search(r"=\s*$|\breturn\s*$|^enum\b", head):
        return "other"
    return "function" if ")" in head else "other"


def py_functions(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno + 1


def sh_functions(source):
    first = None
    for number, line in enumerate(source.split("\n"), 1):
        if re.match(r"^[a-z_0-9]+\(\) \{$", line):
            first = number
        elif line.startswith("}") and first is not None:
            yield first, number - first + 1
            first = None


def check_functions(path, source, code):
    if path.endswith((".cpp", ".hpp")):
        found = cpp_functions(code)
    elif path.endswith(".py"):
        found = py_functions(source)
    elif path.endswith(".sh"):
        found = sh_functions(source)
    else:
        return
    for first, length in found:
        if length > MAX_FUNCTION:
            yield f"{path}:{first}: function: {length} lines, at most {MAX_FUNCTION}"


def check_script(path, source, executable):
    library = path.startswith("scripts/lib/")
    if executable == library:
        yield f"{path}: script: {'sourced, not executable' if library else 'not executable'}"
    if not library and not source.startswith("#!/usr/bin/env bash\n"):
        yield f"{path}:1: script: begins with #!/usr/bin/env bash"
    if not library and "\nset -euo pipefail\n" not in source:
        yield f"{path}: script: set -euo pipefail is missing"
    if not source.split("\n")[1].startswith("#"):
        yield f"{path}:2: script: its manual is missing"


def check_file(path, source, executable=False, has_header=False):
    """Every finding in one file; `path` is relative to the root and uses slashes. `has_header`: a
    header of the same name lies beside it."""
    code = without_text(source) if path.endswith((".cpp", ".hpp")) else source
    yield from check_sizes(path, source)
    yield from check_functions(path, source, code)
    if path.endswith((".cpp", ".hpp")):
        # Quotes have to be there to see an include: only comments are taken out.
        uncommented = re.sub(r"//[^\n]*", "", source)
        yield from check_includes(path, uncommented)
        yield from check_text(path, source, code, has_header)
    if path.endswith(".sh") or path == ".ci/run":
        yield from check_script(path, source, executable)


def check_tree(root):
    for name in sorted(os.listdir(root)):
        if not os.path.isdir(os.path.join(root, name)) or name.startswith("."):
            continue
        if name not in TOP_FOLDERS and not NOT_OURS.match(name):
            yield f"{name}: folder: top-level folders are {', '.join(sorted(TOP_FOLDERS))}"
    rooms = os.path.join(root, "src")
    for name in sorted(os.listdir(rooms)) if os.path.isdir(rooms) else ():
        if os.path.isdir(os.path.join(rooms, name)) and name not in EDGES:
            yield f"src/{name}: folder: a room that the table of edges does not know"
    for path in tree_files(root):
        full = os.path.join(root, path)
        try:
            with open(full, encoding="utf-8") as file:
                source = file.read()
        except UnicodeDecodeError:
            yield f"{path}: text: not UTF-8"
            continue
        has_header = path.endswith(".cpp") and os.path.exists(full[:-4] + ".hpp")
        yield from check_file(path, source, os.access(full, os.X_OK), has_header)


def tree_files(root):
    """Our own texts, in a stable order."""
    if os.path.exists(os.path.join(root, ".ci/run")):
        yield ".ci/run"
    for top in sorted(TOP_FOLDERS):
        for folder, subfolders, names in os.walk(os.path.join(root, top)):
            inside = os.path.relpath(folder, root).replace(os.sep, "/")
            if inside == "subprojects":  # what lies unpacked beside our overlays is not ours
                subfolders[:] = [name for name in subfolders if name == "packagefiles"]
            subfolders[:] = sorted(set(subfolders) - {"__pycache__", "corpus"})
            for name in sorted(names):
                if name.endswith(TEXTS):
                    yield f"{inside}/{name}"


if __name__ == "__main__":
    sys.exit(report(__doc__, check_tree, "the house is in order"))
