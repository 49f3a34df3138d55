#include "kv/item.hpp"

#include <algorithm>

namespace vesper::kv {

bool matches(const Match& match, const Version* version) {
  if (version == nullptr) return false;
  if (match.any) return true;
  return std::find(match.revisions.begin(), match.revisions.end(), version->revision()) !=
         match.revisions.end();
}

Verdict evaluate(const Conditions& conditions, const Version* version) {
  if (conditions.if_match && !matches(*conditions.if_match, version))
    return Verdict::if_match_failed;
  if (conditions.if_none_match && matches(*conditions.if_none_match, version))
    return Verdict::if_none_match_failed;
  return Verdict::holds;
}

}  // namespace vesper::kv
