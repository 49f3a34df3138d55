// What it takes to expire keys that end in one instant: run by hand.
//   ninja -C build tests/kv/bench_expiry && build/tests/kv/bench_expiry [KEYS]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kv/command.hpp"
#include "kv/store.hpp"

using namespace vesper;
using namespace vesper::kv;

namespace {

double us_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - began)
      .count();
}

}  // namespace

int main(int count, char** arguments) {
  const std::size_t keys = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 100'000;
  Store store;
  std::uint64_t index = 0;
  const auto began_puts = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < keys; ++i) {
    Put put;
    put.key = SharedBytes::copy_of("many/" + std::to_string(i));
    put.value = SharedBytes::copy_of("x");
    put.ttl = seconds(10);
    (void)store.apply(SharedBytes::copy_of(encode(Conditions(), put)), LogTime{1}, ++index);
  }
  std::printf("put      %8.3f us a key\n", us_since(began_puts) / static_cast<double>(keys));
  const LogTime due{seconds(11).ns};
  double naming = 0, coding = 0, applying = 0, worst = 0;
  while (store.size() > 0) {
    auto began = std::chrono::steady_clock::now();
    Expire expire;
    const DeadlineOrder& order = store.keyspace().temporary_keys().by_deadline();
    for (auto at = order.begin(); at != order.end() && expire.keys.size() < kMaxExpired; ++at)
      expire.keys.push_back({SharedBytes::copy_of((*at)->key()), (*at)->deadline()});
    naming += us_since(began);
    began = std::chrono::steady_clock::now();
    const SharedBytes command = SharedBytes::copy_of(encode(expire));
    coding += us_since(began);
    began = std::chrono::steady_clock::now();
    (void)store.apply(command, due, ++index);
    worst = std::max(worst, us_since(began));
    applying += us_since(began);
  }
  const auto n = static_cast<double>(keys);
  std::printf(
      "name     %8.3f us a key\nencode   %8.3f us a key\napply    %8.3f us a key, at most "
      "%.0f us a command\n",
      naming / n, coding / n, applying / n, worst);
  return 0;
}
