"""Turns openapi.json into a C++ source that defines vesper::api::kOpenApiDocument.

embed_openapi.py INPUT OUTPUT VERSION: the text becomes compact, and info.version becomes VERSION.
"""
import json
import sys

BYTES_PER_LINE = 24


def main():
    source, output, version = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        document = json.load(file)
    document["info"]["version"] = version
    text = json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"
    # Numbers, because compilers limit the length of a string literal.
    rows = [text[at:at + BYTES_PER_LINE] for at in range(0, len(text), BYTES_PER_LINE)]
    with open(output, "w", encoding="ascii") as file:
        file.write('#include "api/openapi.hpp"\n\nnamespace vesper::api {\nnamespace {\n')
        file.write("constexpr char kText[] = {\n")
        for row in rows:
            file.write("".join("%d," % byte for byte in row) + "\n")
        file.write("};\n}\nconst std::string_view kOpenApiDocument(kText, sizeof kText);\n}\n")


main()
