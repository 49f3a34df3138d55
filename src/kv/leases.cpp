#include "kv/leases.hpp"

#include <string>

#include "base/checksum.hpp"
#include "kv/digest.hpp"

namespace vesper::kv {
namespace {

// Must never change: nodes of different versions compare their digests.
constexpr std::uint64_t kLeaseSeed = 0x5e1dc83b90a6f247;

void write_lease(ByteWriter& w, std::uint64_t id, const Lease& lease) {
  w.u64(id);
  w.i64(lease.ttl.ns);
  w.i64(lease.deadline.value);
  w.u8(static_cast<std::uint8_t>(lease.state));
}

Id128 digest_of(std::uint64_t id, const Lease& lease) {
  return digest_of_form(kLeaseSeed, [&](ByteWriter& w) { write_lease(w, id, lease); });
}

}  // namespace

const Lease* Leases::find_active(std::uint64_t id) const {
  const Lease* lease = leases_.find(id);
  return lease != nullptr && lease->state == Lease::State::active ? lease : nullptr;
}

void Leases::set(std::uint64_t id, Lease lease) {
  auto& deadlines = lease.state == Lease::State::active ? by_deadline_ : over_;
  deadlines.emplace(lease.deadline, id);
  sum_ = plus(sum_, digest_of(id, lease));
  leases_.set(id, lease);
}

void Leases::forget(std::uint64_t id, const Lease& lease) {
  by_deadline_.erase({lease.deadline, id});
  over_.erase({lease.deadline, id});
  sum_ = minus(sum_, digest_of(id, lease));
}

void Leases::grant(std::uint64_t id, Duration ttl, LogTime now) {
  VESPER_ASSERT(leases_.find(id) == nullptr);
  set(id, {ttl, later(now, ttl), Lease::State::active});
}

void Leases::renew(std::uint64_t id, LogTime now) {
  Lease lease = *leases_.find(id);
  VESPER_ASSERT(lease.state == Lease::State::active);
  forget(id, lease);
  lease.deadline = later(now, lease.ttl);
  set(id, lease);
}

void Leases::end(std::uint64_t id, Lease::State state) {
  Lease lease = *leases_.find(id);
  VESPER_ASSERT(lease.state == Lease::State::active);
  VESPER_ASSERT(state != Lease::State::active);
  forget(id, lease);
  lease.state = state;
  set(id, lease);
}

void Leases::remove(std::uint64_t id) {
  forget(id, *leases_.find(id));
  leases_.remove(id);
}

Id128 Leases::recomputed_digest() const {
  Id128 sum;
  for (const auto& [id, lease] : leases_.items()) sum = plus(sum, digest_of(id, lease));
  return sum;
}

bool Leases::export_next(ByteWriter& w) {
  return leases_.export_next(
      [&w](std::uint64_t id, const Lease& lease) { write_lease(w, id, lease); });
}

bool Leases::import_next(ByteReader& r) {
  const std::uint64_t id = r.u64();
  Lease lease;
  lease.ttl = Duration{r.i64()};
  lease.deadline = LogTime{r.i64()};
  const std::uint8_t state = r.u8();
  if (!r.ok()) return true;
  if (id == 0 || lease.ttl.ns <= 0 || lease.ttl > kMaxTtl || lease.deadline.value <= 0 ||
      state > static_cast<std::uint8_t>(Lease::State::expired))
    return false;
  if (!leases_.empty() && leases_.items().rbegin()->first >= id) return false;
  lease.state = static_cast<Lease::State>(state);
  set(id, lease);
  return true;
}

bool Leases::free_some(std::size_t& max) {
  return erase_some(by_deadline_, max) && erase_some(over_, max) && leases_.free_some(max);
}

}  // namespace vesper::kv
