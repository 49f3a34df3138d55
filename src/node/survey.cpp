#include "node/survey.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "node/applied_state.hpp"
#include "node/recovery.hpp"
#include "storage/boot_number.hpp"
#include "storage/records.hpp"
#include "storage/wal_format.hpp"

namespace vesper::node {
namespace {

// The server that the first segment of the log names.
Result<raft::ServerId> server_of(storage::Fs& fs) {
  const auto names = fs.list();
  if (!names) return names.error();
  for (const std::string& name : *names) {  // in order
    if (!storage::parse_segment_name(name)) continue;
    const auto sector = fs.read(name, 0, storage::kSector);
    if (!sector) return sector.error();
    const auto head = storage::decode_head(sector->view());
    if (!head) return Error{fmt::format("{} at offset 0: {}", name, head.error().what)};
    return head->server;
  }
  return Error{"the directory has no log"};
}

Result<void> refuse_records(storage::Fs& fs, std::string& diverged) {
  const auto order = storage::read_record(fs, storage::kSetAsideOrder);
  if (!order) return order.error();
  if (*order)
    return Error{
        "the directory is to be set aside, which the next start of its server completes; give the "
        "folder set-aside-... in it to this command after that"};
  auto why = storage::read_record(fs, storage::kDiverged);
  if (!why) return std::move(why).error();
  diverged = (*why).value_or("");
  return {};
}

// What the records say about starts of this directory and of others.
Result<void> read_boots(storage::Fs& fs, Survey& out) {
  const auto boots = storage::last_boot(fs, out.incarnation);
  if (!boots) return boots.error();
  out.boots = *boots;
  const auto copy = storage::read_record(fs, storage::kOlderCopy);
  if (!copy) return copy.error();
  if (*copy && (*copy)->starts_with(to_hex(out.incarnation.value))) out.older_copy = **copy;
  const auto content = storage::read_record(fs, storage::kBootsSeen);
  if (!content || !*content) return {};
  if (auto seen = storage::BootsSeen::decode(**content)) out.boots_seen = std::move(seen.value());
  return {};
}

}  // namespace

// A member whose disk the log does not name yet is the server at its place in the first list.
const raft::Member* Survey::self() const {
  if (const raft::Member* member = configuration().find(incarnation)) return member;
  const raft::Member* listed = configuration().find(server);
  return listed != nullptr && listed->incarnation.value == 0 ? listed : nullptr;
}

const Survey::Point* Survey::point(raft::Index index) const {
  if (index < first_point) return nullptr;
  const std::uint64_t at = index.value - first_point.value;
  return at < points.size() ? &points[static_cast<std::size_t>(at)] : nullptr;
}

Result<Survey> survey(storage::Fs& fs) {
  Survey out;
  if (auto good = refuse_records(fs, out.diverged); !good) return std::move(good).error();
  const auto server = server_of(fs);
  if (!server) return server.error();
  out.server = *server;
  // The log exists, so the fresh incarnation is not used.
  auto recovered = recover(fs, out.server, raft::Incarnation(1), storage::WalOptions{}, 0);
  if (!recovered) return std::move(recovered).error();
  const raft::RecoveredState& durable = recovered->durable;
  out.incarnation = recovered->incarnation;
  if (auto read = read_boots(fs, out); !read) return std::move(read).error();
  out.hard_state = durable.hard_state;
  out.commit_index = durable.commit_index;
  out.snapshot_index = durable.snapshot.last_index;
  AppliedState state(durable.snapshot, std::move(recovered->store));
  out.first_point = state.index();
  out.points.push_back({state.term(), state.store().digest()});
  for (const raft::Entry& entry : durable.entries) {
    if (entry.index <= state.index()) continue;
    auto applied = state.apply(entry);
    if (!applied) return std::move(applied).error();
    state.store().forget_left_queue();
    state.store().sweep(SIZE_MAX, SIZE_MAX);
    out.points.push_back({state.term(), state.store().digest()});
  }
  out.state = state.identity();
  if (out.configuration().cluster_id.is_none())
    return Error{"the directory has no data: its log belongs to no cluster"};
  if (out.self() == nullptr)
    return Error{
        "the directory is not that of a member: the last configuration in its log does not name "
        "it, because its server was removed or replaced"};
  out.store = state.install({}, std::make_unique<kv::Store>());
  out.digest = out.store->digest();
  out.revision = out.store->revision();
  return out;
}

bool is_more_up_to_date(const Survey& a, const Survey& b) {
  return std::pair(a.last_term(), a.last_index()) > std::pair(b.last_term(), b.last_index());
}

bool is_older_copy(const Survey& a, const Survey& witness) {
  return !a.older_copy.empty() || witness.boots_seen.of(a.incarnation).number > a.boots;
}

std::optional<raft::Index> first_difference(const Survey& a, const Survey& b) {
  for (raft::Index index = std::min(a.last_index(), b.last_index());; index.value -= 1) {
    const Survey::Point* here = a.point(index);
    const Survey::Point* there = b.point(index);
    if (here == nullptr || there == nullptr) return std::nullopt;
    if (here->term == there->term) {
      if (here->digest == there->digest) return std::nullopt;
      return index;
    }
    if (index.value == 0) return std::nullopt;
  }
}

}  // namespace vesper::node
