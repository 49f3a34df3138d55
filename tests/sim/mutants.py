"""Deliberate bugs, one at a time, and the number of seeds in which the simulator must find each.

mutants.py check --root DIR             checks that every text occurs exactly once in the tree, and
                                        that docs/testing.md has a row for each bug (a cheap test)
mutants.py run --root DIR [NAME...]     builds and runs each in a copy of the tree, writes its row
                                        (scripts/mutants.sh; --jobs N, --build DIR to keep it)
mutants.py rows --root DIR              gives each its row in the table, "not run" if it had none
"""
import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import mutants_members
import mutants_time
import mutants_tokens
import mutants_watch

RAFT, NODE, STORAGE, KV = "src/raft/", "src/node/", "src/storage/", "src/kv/"


class Mutant(NamedTuple):
    name: str  # describes the bug
    rule: str  # a code of docs/rules.md, or "bounds" (see there)
    file: str
    text: str  # occurs exactly once
    replacement: str
    seeds: int  # must be found within this many seeds, from seed 1 on
    more: tuple = ()  # (file, text, replacement) if one edit is not enough


MUTANTS = (
    # ---- elections
    Mutant("a vote is not persisted", "E2", RAFT + "raft.cpp",
           "  write.hard_state = hard_state_;\n",
           "  write.hard_state = {hard_state_.current_term, std::nullopt};\n", 300),
    Mutant("a vote in the current term is not persisted", "E2", RAFT + "follower.cpp",
           "      hard_state_.voted_for = from;\n      writes_.change_term();\n",
           "      hard_state_.voted_for = from;\n", 1000),
    Mutant("messages do not wait until their term is durable", "E3", RAFT + "write_ledger.hpp",
           "needs <= persisted_ && term_write_ <= persisted_hard_state_",
           "needs <= persisted_", 300),
    Mutant("a second vote is granted in the same term", "E4", RAFT + "follower.cpp",
           "if (reply.granted() && hard_state_.voted_for && *hard_state_.voted_for != from)",
           "if (false)", 300),
    Mutant("a vote is granted to a shorter log", "E5", RAFT + "log.hpp",
           "    return last_index >= this->last_index();\n", "    return true;\n", 300),
    Mutant("half is a majority", "E1", RAFT + "quorum.hpp",
           "return size / 2 + 1;", "return std::max<std::size_t>(1, size / 2);",
           300),
    Mutant("a vote is kept for the next term", "E8", RAFT + "raft.cpp",
           "  hard_state_ = HardState{term, std::nullopt};\n",
           "  hard_state_.current_term = term;\n", 300),
    Mutant("a new leader appends no entry of its own term", "L6", RAFT + "leader.cpp",
           "    append(\n        make_entry(log_.last_index().next(), current_term(), "
           "EntryType::noop, stamp, Origin{}, {}));\n", "", 300),
    Mutant("a vote is granted while the leader is heard", "E12", RAFT + "follower.cpp",
           "  if (!m.transfer && (is_leader() || contact_.is_fresh(now_, "
           "config_.election_timeout)))\n"
           "    return VoteRefusal::leader_fresh;\n", "", 300),
    Mutant("a pre-vote advances the term", "E9", RAFT + "candidate.cpp",
           "  role_ = std::move(pre);\n  ask_votes(VoteRound::pre_vote);\n",
           "  role_ = std::move(pre);\n  ask_votes(VoteRound::pre_vote);\n"
           "  hard_state_.current_term = current_term().next();\n", 300),
    # ---- founding
    Mutant("a cluster that was named in a refusal is forgotten", "C11", RAFT + "founding.cpp",
           "  if (state && !state->cluster_id.is_none()) see(state->cluster_id);\n", "", 3000),
    Mutant("a server that saw a cluster helps to found another", "C11", RAFT + "founding.cpp",
           "  if (cluster_seen({})) return VoteRefusal::other_cluster;\n"
           "  if (!is_allowed(now)) return VoteRefusal::founding_waits;\n", "", 3000,
           ((RAFT + "candidate.cpp", "log_.empty() && !founding_.is_allowed(now_)", "false"),)),
    Mutant("a majority founds without waiting for the others", "C11", RAFT + "founding.cpp",
           "  return waits_since_ + patience_;\n", "  return waits_since_;\n", 3000,
           ((RAFT + "founding.cpp", "  if (state && !state->cluster_id.is_none()) "
             "see(state->cluster_id);\n", ""),)),
    # ---- logs
    Mutant("an acknowledgement is sent before the fsync", "L10", RAFT + "follower.cpp",
           "  send(from, reply, writes_.covering(*last_new));\n",
           "  send(from, reply, kTermOnly);\n", 300),
    Mutant("a leader counts what its own disk does not have", "L10", RAFT + "leader.cpp",
           "leader.matched_by_quorum(electorate_, writes_.durable_index())",
           "leader.matched_by_quorum(electorate_, log_.last_index())", 300),
    Mutant("an old term's entry is committed by counting (figure 8)", "L5", RAFT + "leader.cpp",
           "*reached <= commit_index_ || log_.term_at(*reached) != current_term()",
           "*reached <= commit_index_", 300),
    Mutant("an old message truncates the entries after its own", "L2", RAFT + "follower.cpp",
           "    if (here && *here == entry.term) {\n",
           "    if (here && *here == entry.term && index <= commit_index_) {\n", 300),
    Mutant("the first entry after a snapshot is never in conflict", "L2", RAFT + "follower.cpp",
           "    if (here && *here == entry.term) {\n",
           "    if (here && (*here == entry.term || (base.value > 0 && index == base.next()))) {\n",
           300),
    Mutant("a committed entry may be truncated", "L3", RAFT + "follower.cpp",
           "    if (here && *here == entry.term) {\n      equal = index;\n      continue;\n    }\n"
           "    if (here && entry.index <= commit_index_) {",
           "    if (here && *here == entry.term && index.value % 7 != 0) {\n"
           "      equal = index;\n      continue;\n    }\n    if (false) {", 300),
    Mutant("a heartbeat commits entries that are not proven to match", "L4", RAFT + "follower.cpp",
           "  promise_.give(m.leader_lease_ms, now_);\n"
           "  commit_to(std::min(m.leader_commit, proven_index_));",
           "  promise_.give(m.leader_lease_ms, now_);\n"
           "  commit_to(std::min(m.leader_commit, log_.last_index()));", 300),
    Mutant("an AppendEntries commits beyond its last entry", "L4", RAFT + "follower.cpp",
           "  proven_index_ = std::max(proven_index_, *last_new);\n"
           "  commit_to(std::min(m.leader_commit, proven_index_));\n",
           "  proven_index_ = std::max(proven_index_, *last_new);\n"
           "  commit_to(std::min(m.leader_commit, log_.last_index()));\n", 1000),
    Mutant("entries proven by an older leader count as proven by the next", "L4", RAFT + "raft.cpp",
           "  proven_index_ = commit_index_;\n}", "  proven_index_ = std::min(proven_index_, "
           "log_.last_index());\n}", 300),
    Mutant("durability is counted by index: the write of a dropped entry counts for the next",
           "L14", RAFT + "write_ledger.cpp",
           "  void_beyond(last);  // L14\n  write_from_ = std::min(",
           "  write_from_ = std::min(", 300),
    Mutant("the term of the previous entry is not compared", "L1", RAFT + "follower.cpp",
           "m.prev_log_index >= base && term_here != m.prev_log_term",
           "m.prev_log_index >= base && !term_here", 300),
    Mutant("a write counts as durable when it is submitted", "L10", STORAGE + "wal.hpp",
           "raft::WriteNumber persisted() const { return persisted_; }",
           "raft::WriteNumber persisted() const { return written_.write_number; }", 300),
    Mutant("a rename is not followed by an fsync of the directory",
           "L10", "tests/support/mem_fs.cpp",
           "  if (auto renamed = rename(job.from, job.to); !renamed) return renamed;\n"
           "  return sync_directory();",
           "  return rename(job.from, job.to);", 300),
    Mutant("an append is not synced", "L10", "tests/support/mem_fs.cpp",
           "  if (auto written = write(job.file, job.offset, bytes); !written) return written;\n"
           "  return sync(job.file);",
           "  return write(job.file, job.offset, bytes);", 300),
    # ---- snapshots
    Mutant("a snapshot names a later index than its content", "S1", NODE + "node.cpp",
           "  raft::Snapshot snapshot = state_.identity();\n",
           "  raft::Snapshot snapshot = state_.identity();\n"
           "  snapshot.last_index = raft_.commit_index();\n", 300),
    Mutant("a snapshot contains writes from after it began", "S9", KV + "snapshot.cpp",
           "version->revision() > revision_) continue;",
           "version->revision() > store_.revision()) continue;", 300),
    Mutant("the page cache is trusted after a failed sync", "L10", STORAGE + "wal_recovery.cpp",
           "  if (auto written = write_last_frame_again(); !written) return written;\n", "", 300),
    Mutant("a snapshot is complete without its last chunk", "S5", NODE + "snapshotter.cpp",
           "receiving.taken_in + 1 == receiving.snapshot.chunks()",
           "receiving.taken_in + 2 == receiving.snapshot.chunks()", 300),
    # ---- clients
    Mutant("a read is answered without a heartbeat round", "K4", RAFT + "leader.cpp",
           "  if (!leader.is_confirmed(leader.reading.round, electorate_)) return;\n", "", 300),
    Mutant("a reply to an older round confirms a read", "K4", RAFT + "role.cpp",
           "other->acked_round >= wanted", "other->acked_round > 0", 300),
    Mutant("a read joins the round that is in flight", "K4", RAFT + "leader.cpp",
           "leader->gathering.remote.emplace_back(from, m.id);",
           "(leader->reading.empty() ? leader->gathering : leader->reading)"
           ".remote.emplace_back(from, m.id);", 300),
    Mutant("a repeated read request keeps its old id", "K4", NODE + "read_batcher.cpp",
           "  return raft::ReadIndex{++asked_id_, leader_lease};\n",
           "  if (leader_lease || asked_id_ % 2 == 0) ++asked_id_;\n"
           "  return raft::ReadIndex{asked_id_, leader_lease};\n", 300),
    Mutant("a new leader reads before it has committed in its term", "K3", RAFT + "leader.cpp",
           "  if (leader.gathering.empty() || !leader.reading.empty()) return;\n"
           "  if (commit_index_ < leader.term_start) return;\n",
           "  if (leader.gathering.empty() || !leader.reading.empty()) return;\n", 300),
    Mutant("a read does not wait until its index is applied", "K5", NODE + "client_queues.cpp",
           "    read->index = ready.index;\n    if (!ready.leader_lease) "
           "read->request.options.level = ReadLevel::linearizable;\n  }\n"
           "  if (ready.index <= applied) return true;\n"
           "  unapplied_.emplace_back(ready.index, connection);\n  return false;\n",
           "    read->index = raft::Index(1);\n  }\n  return true;\n", 300),
    Mutant("a forwarded write that arrives twice is proposed twice", "K9", NODE + "forwarding.cpp",
           "      if (write.sequence <= accepted) continue;\n", "", 300),
    Mutant("a leader accepts writes that were forwarded to another term's leader",
           "K9", NODE + "node.cpp",
           "!can_propose() || forward.term != raft_.current_term()", "!can_propose()", 1000),
    Mutant("writes already sent in the new term are proposed again", "K1", NODE + "forwarding.cpp",
           "write.decided || write.sent >= term", "write.decided || write.sent > term", 300),
    Mutant("a write goes to a new leader while an older one is undecided", "K9",
           NODE + "forwarding.cpp",
           "  if (undecided_before(term)) return batch;\n", "", 300),
    Mutant("an unknown outcome is reported as a failure", "L18", NODE + "requests.cpp",
           "      end_unknown(expired);\n",
           "      end_write(expired.ticket, Refusal::no_leader);\n", 300),
    Mutant("a write whose outcome a snapshot hides is reported as failed", "L18", NODE + "node.cpp",
           "    end_unknown(hidden);\n",
           "    end_write(hidden.ticket, Refusal::no_leader);\n", 300),
    Mutant("a delete does not count as a revision", "K12", KV + "keyspace.cpp",
           "  VESPER_ASSERT(!versions.empty());\n",
           "  const bool removes = versions.size() == 1 && versions[0]->is_tombstone();\n", 300,
           ((KV + "keyspace.cpp", "    put(std::move(versions[i]), hint);\n  }\n  ++revision_;\n",
             "    put(std::move(versions[i]), hint);\n  }\n  if (!removes) ++revision_;\n"),)),
    Mutant("a server bound by a promise drops the request to take over", "K11",
           RAFT + "transfer.cpp",
           "  if (promise_.binds(now_)) follower->take_over_at = promise_.until();\n"
           "  else take_over();\n",
           "  if (!promise_.binds(now_)) take_over();\n", 600),
    Mutant("a leader accepts writes during a hand-over", "K11", RAFT + "transfer.cpp",
           "leader == nullptr || leader->hand_over || write_block()",
           "leader == nullptr || write_block()", 300),
    Mutant("a transfer is refused as in a cluster of one", "K11", NODE + "requests.cpp",
           "voters.size() == 1 && ", "", 300),
    # ---- retried requests
    Mutant("a snapshot lacks the idempotency table", "K1", KV + "snapshot.cpp",
           "store_.idempotency_.export_next(w)", "false", 300,
           ((KV + "store.cpp", "plus(plus(keyspace_.digest(), idempotency_.digest()),\n",
             "plus(keyspace_.digest(),\n"),
            (KV + "store.cpp", "plus(plus(keyspace_.recomputed_digest(), "
             "idempotency_.recomputed_digest()),\n", "plus(keyspace_.recomputed_digest(),\n"))),
    Mutant("idempotency keys expire early", "K2", KV + "idempotency_table.hpp",
           "kIdempotencyKeyKept = seconds(600);", "kIdempotencyKeyKept = seconds(5);", 300),
    Mutant("a full idempotency table evicts its oldest key", "K2", KV + "idempotency_table.hpp",
           "  bool full() const {\n    return size() >= most_ || ",
           "  bool full() {\n    if (size() >= most_) remove(kept_.begin());\n    return ", 300),
    Mutant("a write that a full table refuses is applied", "K2", KV + "store.cpp",
           "  if (idempotency_.full()) {\n",
           "  if (idempotency_.full()) {\n    decide(command, kMaxReply, stamp);\n", 300),
    Mutant("an idempotency key is not looked up when the write is applied", "K1", KV + "store.cpp",
           "  if (!command.has_idempotency_key) return decide(", "  if (true) return decide(", 300),
    Mutant("an idempotency key matches any request", "K1", KV + "store.cpp",
           "  if (kept.fingerprint != command.fingerprint) return "
           "refuse(WriteResult::Kind::key_reused);\n", "", 300),
    Mutant("an idempotency key expires by the wrong clock", "K2", KV + "store.cpp",
           "command.fingerprint, now,\n", "command.fingerprint, LogTime(0),\n",
           1000),
    Mutant("idempotency keys expire without allowance for undecided entries", "K2",
           KV + "idempotency_table.hpp", "kIdempotencyKeyKept.ns + kMostUndecided.ns",
           "kIdempotencyKeyKept.ns",
           1000),
    Mutant("a retry does not extend the life of its idempotency key", "K2", KV + "store.cpp",
           "  idempotency_.refresh(command.idempotency_key.view(), stamp.now);\n", "", 1000),
    # ---- versions, ranges, transactions, compaction
    Mutant("a restore writes what is there now", "H1", KV + "transaction.cpp",
           "keyspace_.find(restore.key.view(), restore.revision)",
           "keyspace_.find(restore.key.view())", 300),
    Mutant("a reply with what was there before has what is there now", "H1",
           KV + "transaction.cpp",
           "present != nullptr) done.prev = VersionRef(present);",
           "present != nullptr) done.prev = version;", 300),
    Mutant("a compacted revision can be read", "H3", NODE + "requests.cpp",
           "revision >= keyspace.oldest_revision() && ", "", 300),
    Mutant("a range in a transaction does not see its writes", "H2", KV + "transaction.cpp",
           "past || overlay_.empty() ? nullptr : &overlay_;", "nullptr;", 300),
    Mutant("a transaction that fails keeps what it wrote before", "H2", KV + "transaction.cpp",
           "result.is_done() && !draft.written()", "!draft.written()", 300),
    Mutant("the compares of a nested transaction see the writes before it", "H2",
           KV + "transaction.cpp",
           "        done = run(*inner->transaction, plan.nested[nested++], inside);\n",
           "        const auto late = this->plan(*inner->transaction);\n"
           "        done = late && run(*inner->transaction, *late, inside);\n", 300,
           ((KV + "transaction.cpp", "return holds(compare, keyspace_.find(",
             "return holds(compare, find("),
            (KV + "transaction.cpp", "    result.results.reserve(branch.size());\n"
             "    std::size_t nested = 0;\n", ""))),
    Mutant("a range delete leaves keys", "H2", KV + "transaction.cpp",
           "    query.range = remove.range;\n", "    query.range = remove.range;\n"
           "    query.limit = 3;\n", 300),
    Mutant("a keyed increment is not kept", "K1", KV + "store.cpp",
           "  if (!is_decided(result)) return result;\n",
           "  const auto* put = std::get_if<PutResult>(&result.result);\n"
           "  if (!is_decided(result) || (put != nullptr && put->now)) return result;\n", 300),
    Mutant("the next page is read at the present revision", "H4", NODE + "range_reads.cpp",
           "  if (query.revision == 0) query.revision", "  query.revision", 300),
    Mutant("what a stream still reads is freed", "H4", KV + "keyspace.cpp",
           "pins_.empty() ? oldest_ : std::min(oldest_, pins_.begin()->first)", "oldest_", 1000),
    Mutant("a store that was replaced under a stream is freed", "H4", NODE + "snapshotter.cpp",
           "retired_.empty() || retired_.back()->keyspace().is_pinned()", "retired_.empty()",
           1000, ((KV + "store.cpp", "else if (!keyspace_.is_pinned())\n", "else\n"),)),
    Mutant("compaction drops what the oldest event replaced", "H3", KV + "keyspace.cpp",
           "older.oldest().revision() < event->revision()",
           "older.oldest().revision() <= event->revision()", 300),
    Mutant("compaction drops the events of the oldest revision", "H3", KV + "keyspace.cpp",
           "find_event(revision);\n  floor_ =", "find_event(revision + 1);\n  floor_ =", 300),
    Mutant("the history is compacted before its time", "H5", NODE + "housekeeping.cpp",
           "log_time.value - limits_.keep_time.ns", "log_time.value - limits_.keep_time.ns / 2",
           300),
    Mutant("a snapshot lacks the state of the quota", "H6", KV + "snapshot.cpp",
           "  store_->quota_exceeded_ = quota == 1;\n", "", 1000,
           ((KV + "store.cpp", "(quota_exceeded_ ? 1 : 0) | ", ""),)),
    Mutant("a put passes the quota", "H6", KV + "transaction.cpp",
           " || context.quota_exceeded ||\n", " ||\n", 300),
    *(Mutant(*bug) for bug in mutants_members.BUGS),
    *(Mutant(*bug) for bug in mutants_time.BUGS),
    *(Mutant(*bug) for bug in mutants_tokens.BUGS),
    *(Mutant(*bug) for bug in mutants_watch.BUGS),
    # ---- the cluster's clock
    Mutant("the clock runs while nothing commits", "K2", RAFT + "raft.cpp",
           "  return std::min(time, LogTime(undecided.value + kMostUndecided.ns));\n",
           "  return std::max(time, undecided);\n", 300),
    Mutant("a stopped clock catches up", "K2", RAFT + "leader.cpp",
           "  clock_.resume(log_time(now_), now_);  // if it had stopped, it resumes now\n",
           "", 300),
    Mutant("a new leader's clock counts the time without a leader", "K2", RAFT + "raft.cpp",
           "  LogTime start = clock_.last_set();\n",
           "  LogTime start(clock_.last_set().value + (now_ - "
           "clock_.last_set_at()).ns);\n", 300,
           ((RAFT + "log_clock.hpp", "  LogTime last_set() const { return base_; }\n",
             "  LogTime last_set() const { return base_; }\n"
             "  Instant last_set_at() const { return base_at_; }\n"),)),
    Mutant("a leader's clock counts the time for which it was suspended",
           "K2", RAFT + "log_clock.hpp",
           "(std::min(now, runs_until_) - base_at_).ns);", "(now - base_at_).ns);", 1000),
    Mutant("the clock runs only when something commits", "K2", RAFT + "leader.cpp",
           "  clock_.set(log_time(now_), now_, leader_heard().at + "
           "config_.election_timeout * 2);\n",
           "", 1000),
    # ---- leases, stale reads
    # Without the assertions that would find them first.
    Mutant("a vote is granted despite a promise", "K7", RAFT + "follower.cpp",
           "  if (promise_.binds(now_)) return VoteRefusal::promised;  // a hand-over "
           "is no exception\n",
           "", 300,
           ((RAFT + "follower.cpp", "    VESPER_ASSERT(!promise_.binds(now_));\n", ""),)),
    Mutant("a follower promises nothing", "K7", RAFT + "follower.cpp",
           "  promise_.give(m.leader_lease_ms, now_);\n", "", 300),
    Mutant("a promise is forgotten at a restart", "K7", RAFT + "raft.cpp",
           "  if (current_term().value > 0 && !electorate_.is_alone()) "
           "promise_.assume(now);\n", "", 300),
    Mutant("a hand-over breaks promises", "K7", RAFT + "follower.cpp",
           "  if (promise_.binds(now_)) return VoteRefusal::promised;  // a hand-over "
           "is no exception\n",
           "  if (promise_.binds(now_) && !m.transfer) return VoteRefusal::promised;\n", 300,
           ((RAFT + "follower.cpp", "    VESPER_ASSERT(!promise_.binds(now_));\n", ""),
            (RAFT + "transfer.cpp", " || now_ < promise_.over_elsewhere_at()) return;",
             ") return;"),
            (RAFT + "transfer.cpp", "  if (promise_.binds(now_)) follower->take_over_at = "
             "promise_.until();\n  else take_over();\n", "  take_over();\n"),
            (RAFT + "candidate.cpp", "  if (put_off_by_promise()) return;  // its own vote",
             "  if (why == Campaign::own && put_off_by_promise()) return;  // its own vote"),
            (RAFT + "invariants.cpp", "    VESPER_ASSERT(!std::holds_alternative<PreCandidate>"
             "(role_));\n    VESPER_ASSERT(!std::holds_alternative<Candidate>(role_));\n", ""))),
    Mutant("a leader lease counts from the arrival of the reply", "K7", RAFT + "leader_lease.cpp",
           "std::max(progress.leader_lease_until, at->leader_lease_end());",
           "std::max(progress.leader_lease_until, "
           "now_ + milliseconds(at->leader_lease_ms) * 9 / 10);", 1000,
           ((RAFT + "leader.cpp", "std::max(leader.own_leader_lease_until, "
             "leader.sent.newest().leader_lease_end());", "kNever;"),
            (RAFT + "invariants.cpp", " || !leader_lease_index(now_)", " || true"))),
    Mutant("a leader lease outlasts its promises", "K7",
           RAFT + "sent_rounds.hpp", "milliseconds(leader_lease_ms) * 9 / 10;",
           "milliseconds(leader_lease_ms) * 13 / 10;", 1000,
           ((RAFT + "invariants.cpp", " || !leader_lease_index(now_)", " || true"),)),
    Mutant("a new leader serves lease reads before it has committed in its term", "K3",
           RAFT + "leader_lease.cpp", "leader == nullptr || commit_index_ < leader->term_start",
           "leader == nullptr", 3000),
    Mutant("a stale read counts unapplied entries as fresh", "K8", RAFT + "freshness.cpp",
           "  if (m.leader_commit <= committed)", "  if (true)", 300),
    Mutant("max_staleness is ignored", "K8", NODE + "requests.cpp",
           "(!result.staleness || *result.staleness > *most)", "!result.staleness", 300),
    Mutant("min_revision is ignored", "K8", NODE + "client_queues.cpp",
           "  if (progress.revision >= options.min_revision) return true;\n",
           "  return true;\n", 300),
    # ---- full disks
    Mutant("a durable hard state counts as durable entries", "L10", STORAGE + "wal.cpp",
           "  persisted_ = written_.write_number;  // one frame", "  persisted_ = "
           "in_flight_hard_state_;  // one frame", 1000),
    Mutant("a message waits for its entries but not for its term", "E2", RAFT + "output.hpp",
           "    return after <= persisted && after_hard_state <= hard_state;\n",
           "    return after <= persisted;\n", 300),
    Mutant("messages pile up behind a hung disk", "bounds", NODE + "held_envelopes.cpp",
           "    if (kind_of(message) != kind) continue;\n", "    continue;\n", 300),
    Mutant("a leader accepts writes without a limit", "bounds", RAFT + "transfer.cpp",
           "proposal_room() == 0 ? WriteBlock::waiting : disks;",
           "proposal_room() == 0 ? WriteBlock::none : WriteBlock::none;", 300),
    Mutant("entries that arrive late count as lost", "L16", RAFT + "leader.cpp",
           "      ask_arrival(id, progress);\n",
           "      progress.become_probe(std::max(progress.match_index, "
           "progress.received_index).next());\n", 300),
    Mutant("an old acknowledgement makes the leader resend the probe", "L16", RAFT + "progress.hpp",
           "    const Index sent = probe_sent ? probe_last : match_index;\n",
           "    const Index sent = match_index;\n", 300),
    Mutant("a forward that arrives late counts as lost", "K9", NODE + "forward_stream.cpp",
           "    send_one(leader, last_sent_, {}, transport, now);\n",
           "    sent += send_again(leader, writes, transport, now);\n", 300),
    Mutant("reads send heartbeats to a server that answers none of them",
           "bounds", RAFT + "leader.cpp",
           "which == Heartbeats::regular || progress.owes < kMostOwed", "true", 300),
    Mutant("a write that is already in a log is refused with 507", "L18", NODE + "forwarding.cpp",
           "  for (std::size_t i = next_unsent_; i < writes_.size(); ++i) {\n    Write& write = "
           "writes_[i];\n    if (write.decided) continue;\n    given_up",
           "  for (std::size_t i = 0; i < writes_.size(); ++i) {\n    Write& write = "
           "writes_[i];\n    if (write.decided) continue;\n    given_up", 1000),
    Mutant("a spare segment is kept after a shutdown", "D1", STORAGE + "wal.cpp",
           "  return !finishing_ || (!seal_wanted() && spare_.allocated == 0);\n",
           "  return !finishing_ || !seal_wanted();\n", 300,
           ((STORAGE + "wal.cpp", "  else if (finishing_ && spare_.allocated > 0)\n",
             "  else if (false)\n"),)),
    Mutant("a start allocates only segments of full size", "D1", STORAGE + "new_segment.cpp",
           "    if (bytes == kLeastSegment)\n", "    if (true)\n", 1000),
    # ---- liveness
    Mutant("a failed hand-over is never abandoned", "K11", RAFT + "transfer.cpp",
           "leader.hand_over && now_ >= leader.hand_over->deadline", "false", 300),
    Mutant("a leader with a stalled disk keeps leading", "Q5", RAFT + "transfer.cpp",
           "  if (disk_health() != DiskHealth::ok) on_transfer_leadership({});\n", "", 1000),
    Mutant("a lost acknowledgement is never requested again", "Q3", RAFT + "leader.cpp",
           "    if (now_ - progress.progress_at < config_.heartbeat_interval * 4) continue;\n",
           "    continue;\n", 300),
    Mutant("a granted pre-vote always defers the server's own campaign",
           "Q1", RAFT + "follower.cpp",
           "  if (!pace_.may_hold_back()) return;\n", "", 3000),
    Mutant("a candidate that loses its round gives up", "Q1", RAFT + "raft.cpp",
           "    if (now_ >= pre->round_deadline) return campaign();\n", "", 300),
    Mutant("a lost read request is never repeated", "Q3", NODE + "read_batcher.cpp",
           "    if (same && now < ask_again_at_) return std::nullopt;\n",
           "    if (same) return std::nullopt;\n", 300),
    Mutant("a lost forward is never resent", "Q3", NODE + "forward_stream.cpp",
           "is_waiting() && now >= ask_at_", "false", 300,
           ((NODE + "forward_stream.cpp", "std::exchange(goes_back_, false)", "false"),)),
)


def edits(mutant):
    return ((mutant.file, mutant.text, mutant.replacement), *mutant.more)


def problems(root):
    """Mutants whose text does not occur exactly once in their file."""
    for mutant in MUTANTS:
        for file, text, _ in edits(mutant):
            try:
                with open(os.path.join(root, file), encoding="utf-8") as source:
                    count = source.read().count(text)
            except OSError as error:
                yield f"{mutant.name}: {error}"
                continue
            if count != 1:
                yield f"{mutant.name}: its text occurs {count} times in {file}"
    names = [mutant.name for mutant in MUTANTS]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: twice in the list"


# ---- the table in docs/testing.md

TABLE = "docs/testing.md"
BEGIN, END = "<!-- deliberate bugs -->\n", "<!-- end of deliberate bugs -->\n"
HEAD = "| broken | rule | found at seed | by |\n|---|---|---|---|\n"


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read_table(root):
    """The text before and after the table, and its rows: name -> (rule, seed, found by)."""
    with open(os.path.join(root, TABLE), encoding="utf-8") as page:
        before, rest = page.read().split(BEGIN)
    table, after = rest.split(END)
    rows = [cells(line) for line in table.splitlines()[2:]]
    return before, {row[0]: tuple(row[1:]) for row in rows}, after


def write_table(root, found):
    """`found`: name -> (seed, by), of the mutants that were run. The others keep their rows."""
    before, rows, after = read_table(root)
    lines = []
    for mutant in MUTANTS:
        old = rows.get(mutant.name, (mutant.rule, "not run", ""))
        seed, by = found.get(mutant.name, old[1:])
        lines.append(f"| {mutant.name} | {mutant.rule} | {seed} | {by} |\n")
    with open(os.path.join(root, TABLE), "w", encoding="utf-8") as page:
        page.write(before + BEGIN + HEAD + "".join(lines) + END + after)


def table_problems(root):
    listed = [mutant.name for mutant in MUTANTS]
    shown = list(read_table(root)[1])
    if listed != shown:
        odd = sorted(set(listed) ^ set(shown)) or ["their order"]
        yield (f"{TABLE} does not show the bugs of this list: {', '.join(odd)}; "
               "run scripts/mutants.sh with their names")


def found_by(said):
    """What found a bug, in a word or two."""
    if "ssert" in said:
        return "an assertion"
    if "does not start" in said:
        return "a log that is refused at a start"
    return re.split(r"[:(]", said)[0].strip()


def copy_changed(source, target):
    """Copies only files that differ, with the current time, because ninja compares times."""
    if os.path.exists(target) and filecmp.cmp(source, target, shallow=False):
        return
    shutil.copyfile(source, target)


def make_copy(root, folder):
    os.makedirs(folder, exist_ok=True)
    for part in ("meson.build", "meson_options.txt", "src", "tests", "subprojects"):
        source = os.path.join(root, part)
        target = os.path.join(folder, part)
        if os.path.isdir(source):
            shutil.copytree(source, target, dirs_exist_ok=True, copy_function=copy_changed,
                            ignore=shutil.ignore_patterns("build*", "packagecache"))
        else:
            copy_changed(source, target)


def build(folder, jobs):
    return subprocess.run(["ninja", "-C", os.path.join(folder, "build"), f"-j{jobs}",
                           "vesper-sim"], capture_output=True, text=True, check=False)


def judge(folder, mutant, jobs):
    """The number of seeds it took (None: not found within its limit), and the output."""
    originals = {}
    try:
        for file, text, replacement in edits(mutant):
            path = os.path.join(folder, file)
            with open(path, encoding="utf-8") as source:
                now = source.read()
            originals.setdefault(path, now)
            with open(path, "w", encoding="utf-8") as source:
                source.write(now.replace(text, replacement))
        built = build(folder, jobs)
        if built.returncode != 0:
            return None, "does not compile: " + built.stdout[-400:]
        ran = subprocess.run(
            [os.path.join(folder, "build", "vesper-sim"), "--seeds", str(mutant.seeds),
             "--jobs", str(jobs), "--keep-going", "1", "--no-shrink"],
            capture_output=True, text=True, check=False)
        found = re.search(r"^seed (\d+): (.*)$", ran.stdout, re.MULTILINE)
        if found is None:
            return None, f"not found in {mutant.seeds} seeds"
        return int(found.group(1)), found.group(2)
    finally:
        for path, original in originals.items():
            with open(path, "w", encoding="utf-8") as source:
                source.write(original)


def run(root, names, jobs, kept):
    folder = kept or tempfile.mkdtemp(prefix="vesper-mutants-")
    missed = 0
    found = {}
    try:
        make_copy(root, folder)
        if not os.path.exists(os.path.join(folder, "build", "build.ninja")):
            subprocess.run(["meson", "setup", os.path.join(folder, "build"), folder],
                           capture_output=True, check=True)
        if build(folder, jobs).returncode != 0:
            sys.exit("the tree itself does not build")
        print("| broken | rule | found at seed | by |\n|---|---|---|---|", flush=True)
        for mutant in MUTANTS:
            if names and not any(name in mutant.name for name in names):
                continue
            began = time.monotonic()
            seed, said = judge(folder, mutant, jobs)
            missed += seed is None
            found[mutant.name] = ("not found", "") if seed is None else (seed, found_by(said))
            said = said.replace("|", "/")[:90]
            print(f"| {mutant.name} | {mutant.rule} | {seed if seed is not None else 'not'} "
                  f"| {said} |", flush=True)
            print(f"{mutant.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    finally:
        if found:
            write_table(root, found)
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if missed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("check", "run", "rows"))
    parser.add_argument("names", nargs="*", help="parts of names")
    parser.add_argument("--root", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", help="a folder to keep, to be quicker the next time")
    arguments = parser.parse_intermixed_args()
    if arguments.what == "run":
        return run(arguments.root, arguments.names, arguments.jobs, arguments.build)
    if arguments.what == "rows":
        return write_table(arguments.root, {})
    found = [*problems(arguments.root), *table_problems(arguments.root)]
    for problem in found:
        print(problem)
    print(f"{len(MUTANTS)} deliberate bugs, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
