// Every command of the script language, in groups. Servers are numbers, links are written 0->1.
#include "golden/script.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "golden/describe.hpp"
#include "raft/entry.hpp"

namespace vesper::golden {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while ((at = line.find_first_not_of(' ', at)) != std::string::npos) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

std::string join(const std::vector<std::string>& words, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i) text += (i > from ? " " : "") + words[i];
  return text;
}

std::optional<std::uint64_t> parse(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string Script::run(const std::string& line) {
  printed_.clear();
  const bool clean = cores_ == nullptr || cores_->violation().empty();
  dispatch(split(line));
  if (clean && cores_ != nullptr && !cores_->violation().empty())
    fail("SAFETY VIOLATED: " + cores_->violation());
  return std::exchange(printed_, {});
}

void Script::fail(const std::string& why) {
  failed_ = true;
  say(why);
}

std::uint64_t Script::number(const std::string& word) {
  const auto value = parse(word);
  if (!value) fail("not a number: " + word);
  return value.value_or(0);
}

raft::ServerId Script::server(const std::string& word) {
  const std::uint64_t id = number(word);
  if (id < cores_->servers().size()) return raft::ServerId(static_cast<std::uint32_t>(id));
  fail("no such server: " + word);
  return raft::ServerId(0);
}

Duration Script::duration(const std::string& word) {
  const bool ms = word.size() > 2 && word.substr(word.size() - 2) == "ms";
  if (ms) return milliseconds(static_cast<std::int64_t>(number(word.substr(0, word.size() - 2))));
  if (word.empty() || word.back() != 's') fail("not a duration: " + word);
  return seconds(static_cast<std::int64_t>(number(word.substr(0, word.size() - 1))));
}

bool Script::is_link(const std::string& word) const {
  return word.find("->") != std::string::npos;
}

Link Script::link(const std::string& word) {
  const std::size_t arrow = word.find("->");
  if (arrow == std::string::npos) fail("not a link: " + word);
  if (arrow == std::string::npos) return {};
  return {server(word.substr(0, arrow)), server(word.substr(arrow + 2))};
}

void Script::dispatch(const Words& words) {
  if (words.empty()) return;
  if (words[0] == "quiet") {  // quiet COMMAND...: without a trace
    if (cores_ == nullptr) return fail("no cluster yet");
    const Trace before = std::exchange(cores_->trace, Trace::off);
    dispatch(Words(words.begin() + 1, words.end()));
    cores_->trace = before;
    return;
  }
  bool known = build(words);
  if (!known && cores_ == nullptr) return fail("no cluster yet: " + words[0]);
  known = known || messages(words) || network(words) || processes(words) || views(words);
  if (!known) return fail("no such command: " + join(words, 0));
  printed_ += std::exchange(cores_->text, {});
}

// cluster N [option...]: N servers with logs that begin with a Bootstrap entry; all are connected
// fresh N [option...]: N servers with empty disks
//   options: unconnected, seed=N, window=MESSAGES, append_bytes=N, window_bytes=N,
//   spares=N (servers that wait to be added), tail=ENTRIES and kept_bytes=N (the log kept after a
//   snapshot), chunks=N (unacknowledged), found_after_ms=N
bool Script::build(const Words& words) {
  if (words[0] != "cluster" && words[0] != "fresh") return false;
  Options options;
  options.founded = words[0] == "cluster";
  if (words.size() > 1) options.servers = static_cast<std::uint32_t>(number(words[1]));
  if (options.servers == 0 || options.servers > 9) options.servers = 3;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    if (name == "unconnected") {
      options.connected = false;
      continue;
    }
    const std::uint64_t value =
        equals == std::string::npos ? 0 : number(words[i].substr(equals + 1));
    if (name == "seed") options.seed = value;
    else if (name == "spares") options.spares = static_cast<std::uint32_t>(value % 6);
    else if (name == "window") options.tuning.max_inflight_messages = value;
    else if (name == "append_bytes") options.tuning.max_append_bytes = value;
    else if (name == "window_bytes") options.tuning.max_inflight_bytes = value;
    else if (name == "tail") options.tuning.log_tail_entries = value;
    else if (name == "kept_bytes") options.tuning.log_kept_bytes = value;
    else if (name == "chunks") options.tuning.snapshot_window = value;
    else if (name == "found_after_ms")
      options.tuning.found_after = milliseconds(static_cast<std::int64_t>(value));
    else fail("no such option: " + words[i]);
  }
  cores_ = std::make_unique<Cores>(options);
  cores_->trace = Trace::all;
  return true;
}

// members ID [add=N] [learner=N] [remove=N] [promote=N] [demote=N]: asks for other members
// propose ID [for=ORIGIN] PAYLOAD...: in one turn      read ID: reads are numbered from 1
// lease-read ID: uses the server's own lease, or becomes a read that may use the leader's
// deliver | deliver to ID | deliver A->B [N]: what is queued now, once
// settle [ROUNDS]: delivers until nothing is queued
// drop A->B | drop KIND...: KIND is the beginning of its line in the trace, such as "append ok"
// duplicate A->B, reverse A->B: the messages of that queue     forge A->B ...: see forge()
bool Script::messages(const Words& words) {
  const std::string& name = words[0];
  const std::string argument = words.size() > 1 ? words[1] : "";
  if (name == "propose") {
    raft::Propose propose;
    const raft::ServerId id = server(argument);
    if (!cores_->at(id).alive() || !cores_->at(id).raft->is_leader()) {
      fail("not the leader: " + argument);
      return true;
    }
    raft::ServerId origin = id;
    for (std::size_t i = 2; i < words.size(); ++i) {
      if (words[i].compare(0, 4, "for=") == 0) origin = server(words[i].substr(4));
      else
        propose.proposals.push_back({{origin, raft::BootId(origin.value + 1), ++next_sequence_},
                                     SharedBytes::copy_of(words[i])});
    }
    cores_->turn(id, {std::move(propose)});
  } else if (name == "members") {
    change_members(words);
  } else if (name == "read") {
    cores_->turn(server(argument), {raft::ReadIndex{++next_read_}});
  } else if (name == "lease-read") {
    lease_read(server(argument));
  } else if (name == "wants-commits") {
    cores_->turn(server(argument), {raft::CommitsWanted{words.size() < 3 || words[2] != "no"}});
  } else if (name == "deliver" && argument.empty()) {
    cores_->deliver_round();
  } else if (name == "deliver" && argument == "to" && words.size() > 2) {
    cores_->deliver(server(words[2]));
  } else if (name == "deliver") {
    cores_->deliver_link(link(argument), words.size() > 2 ? number(words[2]) : SIZE_MAX);
  } else if (name == "settle") {
    cores_->settle(words.size() > 1 ? static_cast<int>(number(argument)) : 100);
  } else if (name == "drop") {
    if (is_link(argument)) cores_->drop(link(argument));
    else drop_kind(words);
  } else if (name == "duplicate") {
    Queue& queue = cores_->queue(link(argument));
    const Queue again = queue;
    queue.insert(queue.end(), again.begin(), again.end());
  } else if (name == "reverse") {
    Queue& queue = cores_->queue(link(argument));
    std::reverse(queue.begin(), queue.end());
  } else if (name == "forge") {
    forge(words);
  } else {
    return false;
  }
  return true;
}

// Spare N has to get the number N, so they are added in order.
void Script::change_members(const Words& words) {
  raft::MembersRequest request;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos) return fail("members: not NAME=SERVER: " + words[i]);
    const std::string part = words[i].substr(0, equals);
    const raft::NodeId node(server(words[i].substr(equals + 1)).value);
    const std::string address = fmt::format("http://127.0.0.1:{}", 5000 + node.value);
    if (part == "add") request.add.push_back({address, "", raft::Goal::vote});
    else if (part == "learner") request.add.push_back({address, "", raft::Goal::stay});
    else if (part == "remove") request.remove.push_back(node);
    else if (part == "promote") request.promote.push_back(node);
    else if (part == "demote") request.demote.push_back(node);
    else return fail("members: " + words[i]);
  }
  cores_->turn(server(words.size() > 1 ? words[1] : ""),
               {raft::ChangeMembers{1, std::move(request)}});
}

void Script::lease_read(raft::ServerId id) {
  cores_->turn(id, {raft::LeaderLeaseRead{}});
  if (!cores_->at(id).alive()) return fail("down");
  if (const auto index = cores_->at(id).raft->leader_lease_index(cores_->now()))
    say(fmt::format("{} holds a lease: may answer once it has applied {}", id.value, index->value));
  else cores_->turn(id, {raft::ReadIndex{++next_read_, true}});
}

void Script::drop_kind(const Words& words) {
  const std::string kind = join(words, 1);
  for (const auto& [at, queue] : cores_->queues()) {
    Queue kept;
    for (const InFlight& message : queue) {
      const std::string text = describe(message.message);
      if (text.compare(0, kind.size(), kind) != 0) kept.push_back(message);
      else say(fmt::format("{} -> {}: {}  (lost)", at.first.value, at.second.value, text));
    }
    cores_->queue(at) = std::move(kept);
  }
}

// forge A->B heartbeat TERM | vote TERM INDEX LOGTERM | pre-vote TERM INDEX LOGTERM
//            | append TERM PREV PREVTERM COMMIT [ENTRYTERM...]
//            | snapshot? TERM INDEX INDEXTERM | snapshot TERM INDEX INDEXTERM CHUNK (of three)
// Queues a message that A never sent.
void Script::forge(const Words& words) {
  if (words.size() < 4) return fail("forge what?");
  const Link to = link(words[1]);
  std::vector<std::uint64_t> n;
  for (std::size_t i = 3; i < words.size(); ++i) n.push_back(number(words[i]));
  const raft::Term term(n[0]);
  n.resize(std::max<std::size_t>(n.size(), 4));
  raft::Message message;
  if (words[2] == "heartbeat") {
    message = raft::Heartbeat{term, {}, {}, 1};
  } else if (words[2] == "vote" || words[2] == "pre-vote") {
    message = raft::VoteRequest{
        term, words[2] == "pre-vote", raft::Index(n[1]), raft::Term(n[2]), {1, 1}};
  } else if (words[2] == "append") {
    raft::AppendEntries append{term, raft::Index(n[1]), raft::Term(n[2]), raft::Index(n[3]), {},
                               {}};
    for (std::size_t i = 4; i < n.size(); ++i)
      append.entries.push_back(test_entry(raft::Index(n[1] + i - 3), raft::Term(n[i])));
    message = std::move(append);
  } else if (words[2] == "snapshot?" || words[2] == "snapshot") {
    raft::InstallSnapshot m{term, {}, n[3], {}};
    m.snapshot.last_index = raft::Index(n[1]);
    m.snapshot.last_term = raft::Term(n[2]);
    m.snapshot.chunk_bytes = 10;
    m.snapshot.content_bytes = 25;
    if (words[2] == "snapshot") m.data = SharedBytes::copy_of("forged");
    message = std::move(m);
  } else {
    return fail("cannot forge this message: " + words[2]);
  }
  cores_->queue(to).push_back({cores_->at(to.first).incarnation, std::move(message)});
}

// partition A B | C D: sides; a server that is not named is alone     cut A->B     heal
// hold A->B, release A->B: deliver, settle and run skip a held link
// connect A B: each learns that it reaches the other     peer-gone ID [at ID]: all learn it, or one
// refused A by B: A only learns what B's refusal says about B's log
bool Script::network(const Words& words) {
  const std::string& name = words[0];
  const std::string argument = words.size() > 1 ? words[1] : "";
  if (name == "partition") {
    std::vector<std::vector<raft::ServerId>> sides(1);
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i] == "|") sides.emplace_back();
      else sides.back().push_back(server(words[i]));
    }
    cores_->cut_into(sides);
  } else if (name == "cut") {
    cores_->cut(link(argument));
  } else if (name == "heal") {
    cores_->heal();
  } else if (name == "hold") {
    cores_->hold(link(argument));
  } else if (name == "release") {
    cores_->release(link(argument));
  } else if (name == "connect" && words.size() > 2) {
    cores_->connect(server(argument), server(words[2]));
  } else if (name == "refused" && words.size() > 3) {
    cores_->refused(server(argument), server(words[3]));
  } else if (name == "peer-gone") {
    if (words.size() > 3) cores_->turn(server(words[3]), {raft::PeerGone{server(argument)}});
    else cores_->peer_gone(server(argument));
  } else {
    return false;
  }
  return true;
}

// crash ID [keep N]: loses unsynced writes except the first N     wipe ID: also loses the disk
// restart ID: connected with all               start ID: not connected
// sync ID [N]: makes writes durable            autosync on|off: at the end of each turn
// disk ID log TERM... [term T] [vote V]: replaces the log; the first entry stays the Bootstrap, and
//   earlier promises are expired
// advance TIME: fires deadlines and delivers nothing     run TIME: messages take a millisecond
// suspend TIME: no server runs meanwhile
// snapshot ID [CHUNKS]: of what it has committed, stored at once    damage ID: loses the newest one
// campaign ID: fires its deadline              elect ID: also delivers everything, without a trace
// transfer ID [TO]: asks ID to transfer leadership    space ID BYTES|enough: left for its log
bool Script::processes(const Words& words) {
  const std::string& name = words[0];
  const std::string argument = words.size() > 1 ? words[1] : "";
  if (name == "crash") {
    cores_->crash(server(argument), words.size() > 3 ? number(words[3]) : 0);
  } else if (name == "wipe") {
    cores_->wipe(server(argument));
  } else if (name == "restart" || name == "start") {
    const raft::ServerId id = server(argument);
    if (cores_->at(id).alive()) cores_->crash(id);
    cores_->start(id);
    if (name == "restart") cores_->connect_all(id);
  } else if (name == "sync") {
    cores_->sync(server(argument), words.size() > 2 ? number(words[2]) : SIZE_MAX);
  } else if (name == "autosync") {
    cores_->automatic_sync(argument == "on");
  } else if (name == "disk") {
    set_disk(words);
  } else if (name == "advance") {
    cores_->advance(duration(argument));
  } else if (name == "run") {
    cores_->run(duration(argument));
  } else if (name == "suspend") {
    cores_->suspend(duration(argument));
  } else if (name == "snapshot") {
    cores_->snapshot(server(argument), words.size() > 2 ? number(words[2]) : 3);
  } else if (name == "damage") {
    cores_->damage(server(argument));
  } else if (name == "campaign") {
    cores_->campaign(server(argument));
  } else if (name == "transfer") {
    raft::TransferLeadership transfer;
    if (words.size() > 2) transfer.to = server(words[2]);
    cores_->turn(server(argument), {transfer});
  } else if (name == "space" && words.size() > 2) {
    const bool full = words[2] != "enough";
    cores_->turn(server(argument), {raft::DiskSpace{full, full ? number(words[2]) : 0}});
  } else if (name == "elect") {
    cores_->elect(server(argument));
  } else {
    return false;
  }
  return true;
}

void Script::set_disk(const Words& words) {
  if (words.size() < 4 || words[2] != "log") return fail("disk ID log TERM...");
  const raft::ServerId id = server(words[1]);
  cores_->crash(id);
  Disk& disk = cores_->at(id).disk;
  if (disk.entries.empty()) return fail("disk: a fresh cluster has no logs");
  disk.entries.resize(1);
  std::size_t i = 4;  // the first term is the Bootstrap entry's
  for (; i < words.size() && parse(words[i]); ++i)
    disk.entries.push_back(
        test_entry(raft::Index(disk.entries.size() + 1), raft::Term(number(words[i]))));
  disk.commit_index = std::min(disk.commit_index, disk.entries.back().index);  // for a shorter log
  disk.hard_state = {disk.entries.back().term, std::nullopt};
  for (; i + 1 < words.size(); i += 2) {
    if (words[i] == "term") disk.hard_state.current_term = raft::Term(number(words[i + 1]));
    else if (words[i] == "vote") disk.hard_state.voted_for = server(words[i + 1]);
    else fail("disk: unknown property: " + words[i]);
  }
  const Trace before = std::exchange(cores_->trace, Trace::off);
  cores_->start_long_ago(id);
  cores_->connect_all(id);
  cores_->trace = before;
}

// trace off|brief|all    state [ID]    log ID    flight: what is queued    expect ...: see expect()
// clocks: the log time of each server, and the stamps of its entries
bool Script::views(const Words& words) {
  const std::string& name = words[0];
  const std::string argument = words.size() > 1 ? words[1] : "";
  if (name == "trace") {
    cores_->trace = argument == "all"     ? Trace::all
                    : argument == "brief" ? Trace::brief
                                          : Trace::off;
  } else if (name == "state") {
    for (const Cores::Server& s : cores_->servers())
      if (argument.empty() || s.id == server(argument)) say(describe_state(s));
  } else if (name == "clocks") {
    for (const Cores::Server& s : cores_->servers())
      if (s.alive())
        say(fmt::format("{} at {}, entries {}", s.id.value, *property(s, "clock", cores_->now()),
                        *property(s, "stamps", cores_->now())));
  } else if (name == "log") {
    const Cores::Server& s = cores_->at(server(argument));
    std::string text = argument + ":";
    const raft::Index first = s.alive() ? s.raft->log().first_index() : raft::Index(1);
    for (raft::Index i = first; s.alive() && i <= s.raft->log().last_index(); i = i.next())
      text += " " + describe(s.raft->log().at(i));
    say(text);
  } else if (name == "flight") {
    for (const auto& [at, queue] : cores_->queues())
      for (const InFlight& waiting : queue)
        say(fmt::format("{} -> {}: {}", at.first.value, at.second.value,
                        describe(waiting.message)));
  } else if (name == "expect") {
    expect(words);
  } else {
    return false;
  }
  return true;
}

// expect ID[,ID...] PROPERTY VALUE...: role term vote leader last durable commit applied log reads
//   first snapshot clock (log time, as 150ms) stamps (of the entries)
//   lease (INDEX or none) staleness (of what it has committed: 50ms or unknown)
// expect flight N
void Script::expect(const Words& words) {
  if (words.size() < 3) return fail("expect needs a server and a property");
  if (words[1] == "flight") {
    if (cores_->in_flight() != number(words[2]))
      fail(fmt::format("EXPECTED {} in flight, there are {}", words[2], cores_->in_flight()));
    return;
  }
  std::string ids = words[1] + ",";
  for (std::size_t comma; (comma = ids.find(',')) != std::string::npos; ids.erase(0, comma + 1)) {
    const std::string id = ids.substr(0, comma);
    const auto found = property(cores_->at(server(id)), words[2], cores_->now());
    const std::string wanted = join(words, 3);
    if (found != wanted)
      fail(fmt::format("EXPECTED {} {} {}, it is {}", id, words[2], wanted,
                       found.value_or("no property of this server")));
  }
}

}  // namespace vesper::golden
