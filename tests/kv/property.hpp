// Property tests with rapidcheck. The seed is fixed, so that a run is repeatable; for others set
// RC_PARAMS, for example RC_PARAMS="seed=7 max_success=5000". Shrinking takes long, so it is off
// unless RC_PARAMS says otherwise.
#pragma once

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace vesper::test {

template <typename Property>
void holds_always(const std::string& what, Property&& property) {
  setenv("RC_PARAMS", "seed=1 noshrink=1", 0);
  CHECK(rc::check(what, std::forward<Property>(property)));
}

// Where random steps take their choices from. Rapidcheck shrinks the numbers and their count; what
// is missing counts as 0.
class Choices {
 public:
  explicit Choices(const std::vector<std::uint16_t>& numbers) : numbers_(numbers) {}
  bool any_left() const { return at_ < numbers_.size(); }
  // 0 to n - 1.
  std::size_t below(std::size_t n) { return any_left() ? numbers_[at_++] % n : 0; }
  bool one_in(std::size_t n) { return below(n) == n - 1; }

 private:
  const std::vector<std::uint16_t>& numbers_;
  std::size_t at_ = 0;
};

// A property of a long sequence of choices.
template <typename Property>
void holds_for_choices(const std::string& what, std::size_t most, Property&& property) {
  holds_always(what, [&] {
    // Rapidcheck begins with small cases; these are of all sizes from the beginning.
    const auto full_size = [](auto gen) { return rc::gen::resize(rc::kNominalSize, gen); };
    const auto size = *full_size(rc::gen::inRange<std::size_t>(0, most));
    const auto number = full_size(rc::gen::inRange<std::uint16_t>(0, 65535));
    const auto numbers =
        *rc::gen::container<std::vector<std::uint16_t>>(size, number).as("choices");
    Choices choices(numbers);
    property(choices);
  });
}

}  // namespace vesper::test
