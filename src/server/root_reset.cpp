#include "server/root_reset.hpp"

#include <algorithm>

#include "api/audit.hpp"
#include "base/log.hpp"
#include "kv/command.hpp"

namespace vesper::server {
namespace {

constexpr Duration kProposeEvery = seconds(5);
// No client has a connection of this number, so that the reply is dropped.
constexpr node::Ticket kTicket{UINT64_MAX - 1, 0, 0};

}  // namespace

Result<void> RootReset::load(storage::Fs& fs) {
  auto content = storage::read_record(fs, storage::kRootReset);
  if (!content) return std::move(content).error();
  if (!*content || (*content)->empty()) return {};
  if ((*content)->size() != kv::kSecretHashBytes)
    return Error{"root-reset: it does not hold the hash of a secret"};
  std::copy((*content)->begin(), (*content)->end(), wanted_.emplace().begin());
  return {};
}

void RootReset::run(api::Context& context, storage::RecordWriter& records) {
  if (!wanted_ || context.shutting_down()) return;
  const auto& tokens = context.node()->store().access().tokens();
  const auto root = tokens.find(std::string(kv::kRootToken));
  if (root != tokens.end() && root->second.hash == *wanted_) {
    log::warn("the root token was made again, as vesper recover --reset-root has ordered");
    api::audit_root_reset(context);
    records.write(storage::kRootReset, {});
    wanted_.reset();
    return;
  }
  if (context.now() < propose_at_) return;
  propose_at_ = context.now() + kProposeEvery;
  const kv::EnableAuth command{*wanted_, kv::EnableAuth::By::server};
  context.post(node::ClientWrite{kTicket, SharedBytes::copy_of(kv::encode(command)),
                                 context.now() + kProposeEvery, nullptr});
}

}  // namespace vesper::server
