#include "kv/operation.hpp"

#include <algorithm>

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

}  // namespace vesper::kv
