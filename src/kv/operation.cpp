#include "kv/operation.hpp"

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"
#include "base/overloaded.hpp"

namespace vesper::kv {
namespace {

template <typename Number>
bool compare_with(const Number& left, Compare::Op op, const Number& right) {
  switch (op) {
    case Compare::Op::equal: return left == right;
    case Compare::Op::not_equal: return left != right;
    case Compare::Op::less: return left < right;
    case Compare::Op::greater: return left > right;
  }
  VESPER_UNREACHABLE();
}

}  // namespace

bool is_read_only(const Operation& operation) {
  return std::visit(Overloaded{
                        [](const Get&) { return true; },
                        [](const GetRange&) { return true; },
                        [](const Nested& nested) { return is_read_only(*nested.transaction); },
                        [](const auto&) { return false; },
                    },
                    operation);
}

bool is_read_only(const Transaction& transaction) {
  const auto reads = [](const Operation& operation) { return is_read_only(operation); };
  return std::all_of(transaction.then.begin(), transaction.then.end(), reads) &&
         std::all_of(transaction.otherwise.begin(), transaction.otherwise.end(), reads);
}

bool holds(const Compare& compare, const Version* version) {
  const auto number = [&](std::uint64_t present) {
    return compare_with(version == nullptr ? 0 : present, compare.op, compare.number);
  };
  switch (compare.target) {
    case Compare::Target::revision: return number(version ? version->revision() : 0);
    case Compare::Target::create_revision: return number(version ? version->create_revision() : 0);
    case Compare::Target::version: return number(version ? version->version() : 0);
    case Compare::Target::lease: return number(version ? version->lease() : 0);
    case Compare::Target::exists:
      return compare_with<std::uint64_t>(version != nullptr ? 1 : 0, compare.op, compare.number);
    case Compare::Target::value:
      return version != nullptr && compare_with(version->value(), compare.op, compare.value.view());
    case Compare::Target::lock: break;
  }
  VESPER_UNREACHABLE();
}

bool parse_integer(std::string_view text, std::int64_t& value) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || digits.size() > 19 || (digits.size() > 1 && digits.front() == '0'))
    return false;
  if (text == "-0") return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace vesper::kv
