// KeyTree::check_invariants(): what holds in every tree between two calls.
#include "base/assert.hpp"
#include "kv/key_tree_nodes.hpp"

namespace vesper::kv {

using namespace key_tree;

void KeyTree::check_leaf(const Leaf& leaf) const {
  for (std::size_t i = 0; i < leaf.count; ++i) {
    VESPER_ASSERT(leaf.slots()[i].newest);
    VESPER_ASSERT(i == 0 || leaf.key(i - 1) < leaf.key(i));
    VESPER_ASSERT(leaf.marks[i] == mark_of(leaf.key(i)));
    VESPER_ASSERT(((leaf.live >> i & 1) != 0) == leaf.slots()[i].is_live());
  }
  VESPER_ASSERT((leaf.live & ~first_bits(leaf.count)) == 0);
}

// Checks the subtree of `node` with keys in [from, to), or without an end if `to` is empty. `last`:
// it is the last node of its level. `next` is the first leaf that has not been checked yet. Returns
// the number of live keys.
std::uint64_t KeyTree::check_subtree(const Node* node, std::size_t level, bool last,
                                     std::string_view from, std::string_view to,
                                     const Leaf*& next) const {
  VESPER_ASSERT(node->count >= (node == root_ ? (level == 0 ? 1 : 2) : last ? 1 : kMinimum));
  if (level == 0) {
    const auto* leaf = static_cast<const Leaf*>(node);
    VESPER_ASSERT(leaf->count <= kSlots);
    VESPER_ASSERT(leaf == next);
    VESPER_ASSERT(last == (leaf == last_));
    VESPER_ASSERT(leaf->next == nullptr || leaf->next->previous == leaf);
    check_leaf(*leaf);
    VESPER_ASSERT(from <= leaf->key(0));
    VESPER_ASSERT(to.empty() || leaf->last_key() < to);
    next = leaf->next;
    return count_bits(leaf->live);
  }
  const auto* inner = static_cast<const Inner*>(node);
  VESPER_ASSERT(inner->count <= kChildren);
  VESPER_ASSERT(inner->separators[0].empty());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < inner->count; ++i) {
    const bool at_end = i + 1 == inner->count;
    const std::uint64_t below = check_subtree(inner->children[i], level - 1, last && at_end,
                                              i == 0 ? from : inner->separators[i],
                                              at_end ? to : inner->separators[i + 1], next);
    VESPER_ASSERT(inner->live[i] == below);
    sum += below;
  }
  return sum;
}

void KeyTree::check_invariants() const {
  if (root_ == nullptr) {
    VESPER_ASSERT(height_ == 0 && first_ == nullptr && last_ == nullptr);
    VESPER_ASSERT(slots_ == 0 && live_ == 0);
    return;
  }
  VESPER_ASSERT(first_->previous == nullptr && last_->next == nullptr);
  const Leaf* next = first_;
  VESPER_ASSERT(check_subtree(root_, height_, true, {}, {}, next) == live_);
  VESPER_ASSERT(next == nullptr);
  std::size_t slots = 0;
  for (const Leaf* leaf = first_; leaf != nullptr; leaf = leaf->next) slots += leaf->count;
  VESPER_ASSERT(slots == slots_);
}

}  // namespace vesper::kv
