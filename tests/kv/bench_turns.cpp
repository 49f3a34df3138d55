// Run by hand: how long the largest commands hold the loop, in milliseconds of the processor.
//
//   ninja -C build tests/kv/bench_turns && build/tests/kv/bench_turns
#include <algorithm>
#include <cstdio>
#include <string>

#include "base/heap.hpp"
#include "kv/snapshot.hpp"
#include "kv/store.hpp"
#include "support/bench.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

constexpr std::size_t kKeys = 1'000'000;
const std::string kValue(128, 'v');

double cpu_ms() {
  return test::cpu_ns() / 1e6;
}

std::string key(std::size_t i) {
  std::string text = to_hex(fingerprint_of("", std::to_string(i), {}, ""));
  return "k/" + text.substr(0, 30);
}

SharedBytes bytes(const std::string& text) {
  return SharedBytes::copy_of(text);
}

Put put_of(std::size_t i) {
  Put put;
  put.key = bytes(key(i));
  put.value = bytes(kValue);
  return put;
}

template <typename Run>
void measure(const char* what, Run&& run) {
  double worst = 0, sum = 0;
  constexpr int kRounds = 5;
  for (int i = 0; i < kRounds; ++i) {
    const double took = run(i);
    worst = std::max(worst, took);
    sum += took;
  }
  std::printf("%-60s %7.2f ms, worst %7.2f ms\n", what, sum / kRounds, worst);
}

double timed(Store& store, const std::string& command) {
  const SharedBytes payload = bytes(command);
  const double begin = cpu_ms();
  const auto result = store.apply(payload, LogTime(), 1);
  const double took = cpu_ms() - begin;
  VESPER_ASSERT(result.ok());
  if (!result->is_done()) std::printf("refused: %d\n", static_cast<int>(result->kind));
  return took;
}

std::size_t next = 0;
template <typename Make>
std::string transaction_of(std::size_t count, Make make) {
  Transaction transaction;
  for (std::size_t i = 0; i < count; ++i) transaction.then.emplace_back(make(next++ * 977 % kKeys));
  return encode(transaction);
}

void operations(Store& store) {
  measure("4,096 puts of existing keys",
          [&](int) { return timed(store, transaction_of(4096, put_of)); });
  measure("4,096 puts of new keys", [&](int) {
    return timed(store, transaction_of(4096, [](std::size_t i) { return put_of(i + 2 * kKeys); }));
  });
  measure("4,096 puts of new keys in order", [&](int round) {
    return timed(store, transaction_of(4096, [&](std::size_t) {
                   Put put = put_of(0);
                   char name[40];
                   std::snprintf(name, sizeof(name), "z/%d/%010zu", round, next);
                   put.key = bytes(name);
                   return put;
                 }));
  });
  measure("4,096 increments", [&](int) {
    return timed(store, transaction_of(4096, [](std::size_t i) {
                   return Modify{Modify::Kind::increment, bytes("n" + key(i)), 1, {}};
                 }));
  });
  measure("4,096 gets", [&](int) {
    return timed(store, transaction_of(4096, [](std::size_t i) { return Get{bytes(key(i)), 0}; }));
  });
  measure("4,096 counts of ranges", [&](int) {
    return timed(store, transaction_of(4096, [](std::size_t i) {
                   GetRange get;
                   get.query.range = {key(i), {}};
                   get.query.content = Content::count;
                   return get;
                 }));
  });
}

void compares(Store& store) {
  measure("4,096 compares", [&](int) {
    Transaction transaction;
    for (std::size_t i = 0; i < kMaxCompares; ++i)
      transaction.compares.push_back({KeyRange::of_key(key(next++ * 977 % kKeys)),
                                      Compare::Target::value, Compare::Op::equal, 0,
                                      bytes(kValue)});
    return timed(store, encode(transaction));
  });
  measure("a compare of a range of 10,000 keys", [&](int) {
    Transaction transaction;
    const std::string end = "z/0/" + std::string("9");
    transaction.compares.push_back(
        {KeyRange{"z/0/", end}, Compare::Target::exists, Compare::Op::equal, 1, {}});
    transaction.compares.push_back(
        {KeyRange{"z/1/", "z/2"}, Compare::Target::exists, Compare::Op::equal, 1, {}});
    return timed(store, encode(transaction));
  });
}

void ranges(Store& store) {
  // Ranges of 5,000 keys in key order, of scattered versions.
  std::vector<std::string> bounds;
  for (auto at = store.keyspace().tree().lower_bound("k/"); bounds.size() < 24;) {
    bounds.emplace_back(at.slot().key());
    for (std::size_t i = 1; i < kMaxRangeDelete; ++i) at.next();
  }
  measure("a delete of a range of 5,000 keys", [&](int i) {
    const auto n = static_cast<std::size_t>(i);
    return timed(store, encode({}, Delete{KeyRange{bounds[n], bounds[n + 1]}, Prev::omit}));
  });
  measure("a get of a range of 10,000 keys", [&](int i) {
    const auto n = static_cast<std::size_t>(2 * i + 10);
    GetRange get;
    get.query.range = KeyRange{bounds[n], bounds[n + 2]};
    return timed(store, encode({}, get));
  });
  measure("a range with a limit across 50,000 deleted keys", [&](int) {
    GetRange get;
    get.query.range = KeyRange{bounds[0], {}};
    get.query.limit = 1;
    return timed(store, encode({}, get));
  });
}

void compaction(Store& store) {
  std::printf("history: %llu bytes in %llu events\n",
              static_cast<unsigned long long>(store.keyspace().history_cost()),
              static_cast<unsigned long long>(store.keyspace().events()));
  {
    const double begin = cpu_ms();
    const std::uint64_t to = store.keyspace().revision_for_history(4u << 20);
    std::printf("revision_for_history %.3f ms\n", cpu_ms() - begin);
    std::printf("compact to %llu: %.2f ms\n", static_cast<unsigned long long>(to),
                timed(store, encode(Compact{to})));
  }
  double worst = 0;
  int slices = 0;
  for (bool done = false; !done; ++slices) {
    const double begin = cpu_ms();
    done = store.sweep(256, 4u << 20);
    worst = std::max(worst, cpu_ms() - begin);
  }
  std::printf("sweep in %d slices, worst %.2f ms\n", slices, worst);
}

void one_key_and_snapshot(Store& store) {
  double worst = 0;
  for (std::size_t i = 0; i < kKeys; ++i) {
    const double took = timed(store, encode_put("one", "v", ValueForm::bytes, {}));
    worst = i == 0 ? took : std::max(worst, took);
  }
  std::printf("a million overwrites of one key, worst %.2f ms\n", worst);
  {
    Export exported(store);
    worst = 0;
    std::string piece;
    Import import;
    double worst_in = 0, all_in = 0;
    for (bool done = false; !done;) {
      piece.clear();
      double begin = cpu_ms();
      done = exported.read(piece, 256u << 10, 1000);
      worst = std::max(worst, cpu_ms() - begin);
      begin = cpu_ms();
      VESPER_ASSERT(import.add(piece).ok());
      worst_in = std::max(worst_in, cpu_ms() - begin);
      all_in += cpu_ms() - begin;
    }
    std::printf("export: worst slice %.2f ms; import: worst %.2f ms, all %.0f ms\n", worst,
                worst_in, all_in);
  }
  timed(store, encode(Compact{store.revision()}));
  worst = 0;
  for (bool done = false; !done;) {
    const double begin = cpu_ms();
    done = store.sweep(256, 4u << 20);
    worst = std::max(worst, cpu_ms() - begin);
  }
  std::printf("sweep of a million versions of one key, worst slice %.2f ms\n", worst);
}

}  // namespace

int main() {
  set_up_heap();
  Store store;
  for (std::size_t i = 0; i < kKeys; ++i)
    timed(store, encode_put(key(i), kValue, ValueForm::bytes, {}));
  operations(store);
  compares(store);
  ranges(store);
  compaction(store);
  one_key_and_snapshot(store);
}
