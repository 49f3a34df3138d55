"""Deliberate bugs of members that change: joint consensus, learners, replaced disks. Each is a row
of tests/sim/mutants.py, with the fields of its Mutant.
"""
RAFT, NODE = "src/raft/", "src/node/"
# A dialler is taken for the member whose number it names, whatever disk it has.
ANY_DISK_SPEAKS = (
    NODE + "peer_rules.cpp",
    "  if (is_empty(theirs) || theirs.number == kNoServer) "
    "return refuse_no_member(theirs, ours);\n",
    "  if (const Member* claimed = find_in_both(ours, theirs.number)) return PeerIs{claimed->id};\n"
    "  if (is_empty(theirs) || theirs.number == kNoServer) "
    "return refuse_no_member(theirs, ours);\n")

BUGS = (
    ("a wiped disk votes in the place of the lost one", "C10", NODE + "peer_rules.cpp",
     "    return PeerLostDisk{expected, theirs.incarnation};\n",
     "    return PeerIs{expected};\n", 1000,
     ((RAFT + "electorate.hpp",
       "    return incarnation.value != 0 && member.incarnation == incarnation;\n",
       "    return incarnation.value != 0;\n"),
      ANY_DISK_SPEAKS)),
    ("acknowledgements of learners count", "L10", RAFT + "quorum.hpp",
     "      if (!(member.*votes)()) continue;\n      ++all;\n",
     "      if ((member.*votes)()) ++all;\n", 1000),
    ("the old set's quorum is forgotten in the joint phase", "C4", RAFT + "quorum.hpp",
     "    if (!value || !is_joint()) return value;\n", "    return value;\n", 1000,
     ((RAFT + "quorum.hpp", "    return incoming.is_majority() && outgoing.is_majority();\n",
       "    return incoming.is_majority();\n"),)),
    ("a snapshot is installed without its configuration", "S7", RAFT + "raft.cpp",
     "  electorate_.adopt(snapshot_.is_none() ? Configuration{{}, config_.initial_voters}\n",
     "  electorate_.adopt(true ? Configuration{{}, config_.initial_voters}\n", 1000),
    ("a second change before the first is committed", "C1", RAFT + "membership_leader.cpp",
     "  if (!electorate_.is_committed() || now.is_joint())\n", "  if (now.is_joint())\n", 1000,
     ((RAFT + "membership_leader.cpp", "  VESPER_ASSERT(electorate_.is_committed());", "  //"),)),
    ("a change before the leader has committed in its term", "C2", RAFT + "membership_leader.cpp",
     "  if (!takes_proposals() || commit_index_ < std::get<Leader>(role_).term_start) "
     "return refuse({});\n",
     "  if (!takes_proposals()) return refuse({});\n", 1000,
     ((RAFT + "membership_leader.cpp",
       "  VESPER_ASSERT(commit_index_ >= std::get<Leader>(role_).term_start);", "  //"),
      (RAFT + "membership_leader.cpp",
       "  if (commit_index_ < leader.term_start || !electorate_.is_committed()) return;\n",
       "  if (!electorate_.is_committed()) return;\n"))),
    ("a truncated configuration stays in force", "C3", RAFT + "electorate.cpp",
     "  while (history_.back().index >= index) history_.pop_back();\n",
     "  while (false) history_.pop_back();\n", 1000),
    ("a leader that was left out goes on leading", "C9", RAFT + "membership_leader.cpp",
     "  if (!electorate_.self_counts()) {\n", "  if (false) {\n", 1000),
    ("a removed leader counts itself in the place of a voter", "C9", RAFT + "role.cpp",
     "  return electorate.quorum().reached([&](const Member& voter) -> std::optional<Index> {\n",
     "  const Member* own = electorate.configuration().find(electorate.self());\n"
     "  bool counts_itself = own == nullptr || !own->votes_in_new();\n"
     "  return electorate.quorum().reached([&](const Member& voter) -> std::optional<Index> {\n"
     "    if (std::exchange(counts_itself, false)) return durable;\n", 1000),
    ("a disk is taken in twice", "C13", RAFT + "membership.cpp",
     "  if (old == nullptr || now.find(disk.incarnation) != nullptr) return std::nullopt;\n",
     "  if (old == nullptr) return std::nullopt;\n", 1000,
     ((RAFT + "peers.hpp", "configuration.find(each.second.incarnation) != nullptr ||\n",
       "\n"),)),
    ("a registration replaces the one before it", "C13", RAFT + "entry.cpp",
     "      if (member.incarnation.value == 0) member.incarnation = registration->incarnation;\n",
     "      member.incarnation = registration->incarnation;\n", 1000,
     ((RAFT + "leader.cpp",
       "    const bool is_new = member.incarnation.value == 0 && !is_registered;\n",
       "    const bool is_new = member.incarnation != *incarnation && !is_registered;\n"),
      (NODE + "peer_rules.cpp", "    return PeerLostDisk{expected, theirs.incarnation};\n",
       "    return PeerIs{expected};\n"),
      ANY_DISK_SPEAKS)),
    ("the replacement stays when the lost disk is back", "C13", RAFT + "membership.cpp",
     "  std::erase_if(next.members, "
     "[old](const Member& member) { return replaces(member, *old); });\n",
     "", 1000),
    ("the highest number is given again", "C13", RAFT + "configuration.cpp",
     "  return members.empty() ? next_id : std::max(next_id, members.back().id.next());\n",
     "  return members.empty() ? next_id : members.back().id.next();\n", 1000),
    ("the voters change without a joint phase", "C4", RAFT + "membership_leader.cpp",
     "    append_configuration(begin_joint(now, plan));\n",
     "    append_configuration(end_joint(begin_joint(now, plan)));\n", 1000),
    ("the joint phase does not end", "Q1", RAFT + "membership_leader.cpp",
     "    return append_configuration(end_joint(now));\n", "    return;\n", 1000),
    ("a lost disk is not missed", "Q1", RAFT + "membership_leader.cpp",
     "  for (const auto& [id, disk] : peers_.replaced()) {\n",
     "  for (const auto& [id, disk] : std::map<ServerId, DiskReplaced>{}) {\n", 1000),
    ("a server that has left is not told so", "Q1", NODE + "peer_rules.cpp",
     "  if (is_ours && theirs.number < ours.committed.unused_id()) return PeerHasLeft{};\n", "",
     1000),
)
