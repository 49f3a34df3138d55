#include "node/range_waits.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.hpp"

namespace vesper::node {
namespace {

bool ends_after(const std::string& end, std::string_view key) {
  return end.empty() || key < end;
}

}  // namespace

struct RangeWaits::Node {
  const kv::KeyRange* range;  // never null
  Id id;
  RangeWaiter* waiter;  // never null
  std::uint64_t priority;
  const std::string* last_end = nullptr;  // of this node and of those below it
  Tree left, right;

  static void tell(const Node* node, const kv::Version& event) {
    const std::string_view key = event.key();
    while (node != nullptr && ends_after(*node->last_end, key)) {
      tell(node->left.get(), event);
      if (node->range->start > key) return;
      if (ends_after(node->range->end, key)) node->waiter->on_change(event);
      node = node->right.get();
    }
  }

  // Returns the number of nodes.
  static std::size_t check(const Node* node) {
    if (node == nullptr) return 0;
    const std::size_t size = 1 + check(node->left.get()) + check(node->right.get());
    const std::string* last = &node->range->end;
    for (const Node* child : {node->left.get(), node->right.get()}) {
      if (child == nullptr) continue;
      VESPER_ASSERT(child->priority <= node->priority);
      if (!last->empty() && ends_after(*child->last_end, *last)) last = child->last_end;
    }
    VESPER_ASSERT(*last == *node->last_end);
    VESPER_ASSERT(node->left == nullptr || is_before(*node->left, *node->range, node->id));
    VESPER_ASSERT(node->right == nullptr || is_before(*node, *node->right->range, node->right->id));
    return size;
  }
};

RangeWaits::RangeWaits() = default;
RangeWaits::~RangeWaits() = default;

bool RangeWaits::is_before(const Node& a, const kv::KeyRange& range, Id id) {
  return std::tie(a.range->start, a.id) < std::tie(range.start, id);
}

void RangeWaits::update(Node& node) {
  node.last_end = &node.range->end;
  for (const Node* child : {node.left.get(), node.right.get()})
    if (child != nullptr && !node.last_end->empty() && ends_after(*child->last_end, *node.last_end))
      node.last_end = child->last_end;
}

// Distributes the nodes of `tree` to those before and those after `by`.
void RangeWaits::split(Tree tree, const Node& by, Tree& left, Tree& right) {
  if (tree == nullptr) {
    left.reset();
    right.reset();
  } else if (is_before(*tree, *by.range, by.id)) {
    split(std::move(tree->right), by, tree->right, right);
    update(*tree);
    left = std::move(tree);
  } else {
    split(std::move(tree->left), by, left, tree->left);
    update(*tree);
    right = std::move(tree);
  }
}

// Every node of `left` is before every node of `right`.
RangeWaits::Tree RangeWaits::merge(Tree left, Tree right) {
  if (left == nullptr) return right;
  if (right == nullptr) return left;
  if (left->priority > right->priority) {
    left->right = merge(std::move(left->right), std::move(right));
    update(*left);
    return left;
  }
  right->left = merge(std::move(left), std::move(right->left));
  update(*right);
  return right;
}

void RangeWaits::insert(Tree& at, Tree node) {
  if (at == nullptr || node->priority > at->priority) {
    split(std::move(at), *node, node->left, node->right);
    at = std::move(node);
  } else {
    Tree& side = is_before(*at, *node->range, node->id) ? at->right : at->left;
    insert(side, std::move(node));
  }
  update(*at);
}

void RangeWaits::erase(Tree& at, const kv::KeyRange& range, Id id) {
  VESPER_ASSERT(at != nullptr);
  if (at->id == id) {
    at = merge(std::move(at->left), std::move(at->right));
    return;
  }
  erase(is_before(*at, range, id) ? at->right : at->left, range, id);
  update(*at);
}

RangeWaits::Id RangeWaits::add(kv::Space space, const kv::KeyRange& range, RangeWaiter& waiter) {
  auto node = std::make_unique<Node>(Node{.range = &range,
                                          .id = ++last_id_,
                                          .waiter = &waiter,
                                          .priority = priorities_.next(),
                                          .left = nullptr,
                                          .right = nullptr});
  insert(trees_[static_cast<std::size_t>(space)], std::move(node));
  ++size_;
  return last_id_;
}

void RangeWaits::remove(kv::Space space, const kv::KeyRange& range, Id id) {
  erase(trees_[static_cast<std::size_t>(space)], range, id);
  --size_;
}

void RangeWaits::tell(const kv::Version& event) const {
  Node::tell(trees_[static_cast<std::size_t>(event.space())].get(), event);
}

void RangeWaits::check_invariants() const {
  std::size_t size = 0;
  for (const Tree& tree : trees_) size += Node::check(tree.get());
  VESPER_ASSERT(size == size_);
}

}  // namespace vesper::node
