"""Deliberate bugs about tokens. Each is a row of tests/sim/mutants.py, with the fields of its
Mutant.
"""
NODE, KV = "src/node/", "src/kv/"

BUGS = (
    ("a write of a revoked token is carried out", "A1", KV + "store_access.cpp",
     "  if (token == nullptr) return refuse(Kind::unauthorized);\n",
     "  if (token == nullptr) return std::nullopt;\n", 300),
    ("a revoked token lives on in the token of its name", "A1", KV + "access.cpp",
     "token != nullptr && token->identity.id == identity.id ? token", "token != nullptr ? token",
     300),
    ("a read is answered without a look at its token", "A2", NODE + "requests.cpp",
     "  if (!may_read(read)) return Refusal::unauthorized;\n", "", 1000),
    ("another token gets the reply of a keyed write", "A3", KV + "command_decoder.cpp",
     "fingerprint_with(*command.identity, command.fingerprint)", "command.fingerprint", 1000),
    ("the leader carries out what any client asks for", "A5", NODE + "requests.cpp",
     "return is_allowed ? Judgement::allowed : Judgement::refused;",
     "return Judgement::allowed;", 1000),
    ("a transaction needs the rights of its first branch only", "A4", KV + "rights.cpp",
     "for (const auto* branch : {&transaction.then, &transaction.otherwise})",
     "for (const auto* branch : {&transaction.then})", 1000),
    ("snapshots forget when tokens expire", "A1", KV + "access.cpp",
     "  w.i64(token.expires.value);\n", "  w.i64(kEndOfLogTime.value);\n", 1000),
)
