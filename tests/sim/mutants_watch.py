"""Deliberate bugs about watches and traces. Each is a row of tests/sim/mutants.py, with the fields
of its Mutant.
"""
NODE = "src/node/"

BUGS = (
    ("a watch that resumes inside a revision gets its parts again", "V1", NODE + "watch_cursor.cpp",
     "  place_ = seen.part + 1;\n", "  place_ = 1;\n", 1000),
    ("a watch that resumes misses the rest of a revision", "V1", NODE + "watch_cursor.cpp",
     "  revision_ = seen.part == 0 ? seen.revision + 1 : seen.revision;\n",
     "  revision_ = seen.revision + 1;\n", 1000),
    ("the last event of a revision says that more follow", "V1", NODE + "watch_cursor.cpp",
     "    return next < end && keyspace.event(next)->revision() == revision_;\n",
     "    return next < end;\n", 300),
    ("a watch resumes after what was compacted", "V1", NODE + "watch.cpp",
     "  if (!cursor_.is_kept(keyspace)) return begin_reset(now);\n",
     "  if (!cursor_.is_kept(keyspace)) cursor_.move_after({keyspace.oldest_revision() - 1, 0});\n",
     1000),
    ("a lagging server resets a watch that is ahead of it", "V1", NODE + "watch.cpp",
     "    if (leader_asked_) return begin_reset(now);\n", "    return begin_reset(now);\n", 1000),
    ("a snapshot hides events from a watch that has caught up", "V1", NODE + "watch.cpp",
     "  if (armed_) cursor_.move_after({replaced_revision, 0});\n",
     "  if (armed_) cursor_.move_after({keyspace.revision(), 0});\n", 1000),
    ("events go on at the state's revision, not after it", "V1", NODE + "watch.cpp",
     "      cursor_.move_after({state.revision, 0});\n",
     "      cursor_.move_after({keyspace.revision(), 0});\n", 1000),
    ("no watch is told of a commit", "V2", NODE + "node.cpp",
     "      range_waits_.tell(*keyspace.event(event));\n",
     "      (void)*keyspace.event(event);\n", 300),
    ("no one notices that events of a trace are lost", "V3", NODE + "trace_feed.cpp",
     "  if (peer.next && heard.before > *peer.next) {\n",
     "  if (peer.next && heard.before > *peer.next + 1'000'000) {\n", 300),
    ("a trace does not begin with a state", "V3", NODE + "trace_feed.cpp",
     "    if (begun_.contains(item.node)) return item;\n", "    return item;\n", 300),
    ("a server asks for traces that no one reads", "V3", NODE + "trace_feed.cpp",
     "  if (viewers_.empty()) {\n    clear();\n    return false;\n  }\n  self_",
     "  if (viewers_.empty()) events_.clear();\n  self_", 300),
)
