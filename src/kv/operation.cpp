#include "kv/operation.hpp"

#include <algorithm>
#include <charconv>

#include "base/overloaded.hpp"

namespace vesper::kv {

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

bool parse_integer(std::string_view text, std::int64_t& value) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || digits.size() > 19 || (digits.size() > 1 && digits.front() == '0'))
    return false;
  if (text == "-0") return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace vesper::kv
