"""Turns the files of the web page into a C++ source that defines vesper::ui::files().

embed.py OUTPUT FILE...: each file is embedded as it is, and compressed if that makes it smaller.
Its tag is a number below 2^53 that changes with its bytes.
"""
import gzip
import hashlib
import os
import sys

BYTES_PER_LINE = 24
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
PAGE = "index.html"  # is served at /ui/ itself


def tag_of(content):
    """Strong entity tags differ between encodings (RFC 9110 §8.8.3.3)."""
    return int.from_bytes(hashlib.sha256(content).digest()[:6], "big") or 1


def array(name, content):
    """Numbers, because compilers limit the length of a string literal."""
    rows = [content[at:at + BYTES_PER_LINE] for at in range(0, len(content), BYTES_PER_LINE)]
    lines = "\n".join("".join("%d," % byte for byte in row) for row in rows)
    return "constexpr unsigned char %s[] = {\n%s\n};\n" % (name, lines)


def main():
    output, *paths = sys.argv[1:]
    arrays, rows = [], []
    for number, path in enumerate(sorted(paths)):
        name = os.path.basename(path)
        with open(path, "rb") as file:
            plain = file.read()
        packed = gzip.compress(plain, 9, mtime=0)
        packed = packed if len(packed) < len(plain) else plain
        arrays.append(array("kPlain%d" % number, plain))
        arrays.append(array("kPacked%d" % number, packed))
        rows.append('{"%s", "%s", text(kPlain%d), text(kPacked%d), %dull, %dull},' % (
            "" if name == PAGE else name, TYPES[os.path.splitext(name)[1]], number, number,
            tag_of(plain), tag_of(packed)))
    with open(output, "w", encoding="ascii") as file:
        file.write('#include "ui/files.hpp"\n\nnamespace vesper::ui {\nnamespace {\n')
        file.write("\n".join(arrays))
        file.write("template <std::size_t kSize>\n"
                   "std::string_view text(const unsigned char (&bytes)[kSize]) {\n"
                   "  return {reinterpret_cast<const char*>(bytes), kSize};\n}\n}\n\n")
        file.write("std::span<const File> files() {\n  static const File kFiles[] = {\n    ")
        file.write("\n    ".join(rows))
        file.write("\n  };\n  return kFiles;\n}\n\n}\n")


main()
