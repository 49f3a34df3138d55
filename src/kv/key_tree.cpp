#include "kv/key_tree.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.hpp"
#include "kv/key_tree_nodes.hpp"

namespace vesper::kv {

using namespace key_tree;

// ---- positions ----

KeyTree::Slot& KeyTree::Position::slot() const {
  VESPER_ASSERT(!at_end());
  return leaf_->slots()[at_];
}

void KeyTree::Position::next() {
  VESPER_ASSERT(!at_end());
  leaf_->prefetch(at_ + kAhead, kForReading);
  if (++at_ < leaf_->count) return;
  leaf_ = leaf_->next;
  at_ = 0;
}

void KeyTree::Position::previous() {
  VESPER_ASSERT(!at_end());
  if (at_ > 0) {
    --at_;
    return;
  }
  leaf_ = leaf_->previous;
  if (leaf_ != nullptr) at_ = leaf_->count - 1;
}

bool KeyTree::Position::next_live(std::size_t max_leaves) {
  VESPER_ASSERT(!at_end());
  leaf_->prefetch(at_ + kAhead, kForReading);
  std::uint64_t bits = leaf_->live & ~first_bits(at_ + 1);
  while (bits == 0) {
    if (max_leaves-- == 0) return false;
    leaf_ = leaf_->next;
    at_ = 0;
    if (leaf_ == nullptr) return true;
    bits = leaf_->live;
  }
  at_ = static_cast<std::size_t>(std::countr_zero(bits));
  return true;
}

bool KeyTree::Position::previous_live(std::size_t max_leaves) {
  VESPER_ASSERT(!at_end());
  std::uint64_t bits = leaf_->live & first_bits(at_);
  while (bits == 0) {
    if (max_leaves-- == 0) return false;
    leaf_ = leaf_->previous;
    at_ = 0;
    if (leaf_ == nullptr) return true;
    bits = leaf_->live;
    at_ = leaf_->count - 1;
  }
  at_ = 63 - static_cast<std::size_t>(std::countl_zero(bits));
  return true;
}

// ---- lifetime ----

KeyTree::KeyTree() = default;

KeyTree::~KeyTree() {
  if (root_ != nullptr) delete_subtree(root_, height_);
}

KeyTree::KeyTree(KeyTree&& other) noexcept {
  swap(other);
}

KeyTree& KeyTree::operator=(KeyTree&& other) noexcept {
  KeyTree moved(std::move(other));
  swap(moved);
  return *this;
}

void KeyTree::swap(KeyTree& other) noexcept {
  std::swap(root_, other.root_);
  std::swap(height_, other.height_);
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
  std::swap(slots_, other.slots_);
  std::swap(live_, other.live_);
}

void KeyTree::delete_subtree(Node* node, std::size_t level) {
  if (level == 0) {
    delete static_cast<Leaf*>(node);
    return;
  }
  auto* inner = static_cast<Inner*>(node);
  for (std::size_t i = 0; i < inner->count; ++i) delete_subtree(inner->children[i], level - 1);
  delete inner;
}

// ---- lookups ----

std::size_t KeyTree::slots() const {
  return slots_;
}

std::uint64_t KeyTree::live() const {
  return live_;
}

// Requires that the tree is not empty.
KeyTree::Leaf* KeyTree::leaf_for(std::string_view key) const {
  Node* node = root_;
  for (std::size_t level = height_; level > 0; --level) {
    const auto& inner = static_cast<const Inner&>(*node);
    node = inner.children[inner.child_for(key)];
  }
  return static_cast<Leaf*>(node);
}

// Requires that the tree is not empty.
void KeyTree::lead_to(std::string_view key, Path& path) const {
  Node* node = root_;
  for (std::size_t level = height_; level-- > 0;) {
    auto* inner = static_cast<Inner*>(node);
    const std::size_t at = inner->child_for(key);
    path.steps[level] = {inner, at};
    node = inner->children[at];
  }
  path.leaf = static_cast<Leaf*>(node);
}

KeyTree::Path KeyTree::path_to(std::string_view key) const {
  Path path;
  lead_to(key, path);
  return path;
}

KeyTree::Path KeyTree::path_to_last() const {
  Path path;
  Node* node = root_;
  for (std::size_t level = height_; level-- > 0;) {
    auto* inner = static_cast<Inner*>(node);
    path.steps[level] = {inner, inner->count - 1};
    node = inner->children[inner->count - 1];
  }
  path.leaf = static_cast<Leaf*>(node);
  return path;
}

KeyTree::Slot* KeyTree::find(std::string_view key) const {
  if (root_ == nullptr) return nullptr;
  Leaf* leaf = leaf_for(key);
  const std::size_t at = leaf->find(key);
  return at < leaf->count ? &leaf->slots()[at] : nullptr;
}

// Moves `hint` to the slot of a key, or to where its slot would be. Returns whether there is one.
// Requires that the tree is not empty.
bool KeyTree::seek(std::string_view key, Hint& hint) const {
  Path& path = hint.path_;
  const bool is_near = hint.tree_ == this && path.leaf != nullptr;
  if (is_near && path.leaf->has(hint.at_, key)) return true;
  if (is_near && path.leaf->has(hint.at_ + 1, key)) {
    ++hint.at_;
    path.leaf->prefetch(hint.at_ + kAhead, kForReplacing);
    return true;
  }
  hint.tree_ = this;
  if (!is_near || key < path.leaf->key(0) || path.leaf->last_key() < key) lead_to(key, path);
  hint.at_ = path.leaf->find(key);
  if (hint.at_ < path.leaf->count) return true;
  hint.at_ = path.leaf->lower_bound(key);
  return false;
}

KeyTree::Slot* KeyTree::find(std::string_view key, Hint& hint) const {
  if (root_ == nullptr || !seek(key, hint)) return nullptr;
  return &hint.path_.leaf->slots()[hint.at_];
}

KeyTree::Position KeyTree::first() const {
  return Position(first_, 0);
}

KeyTree::Position KeyTree::last() const {
  return last_ == nullptr ? Position(nullptr, 0) : Position(last_, last_->count - 1);
}

KeyTree::Position KeyTree::lower_bound(std::string_view key) const {
  if (root_ == nullptr) return Position(nullptr, 0);
  Leaf* leaf = leaf_for(key);
  const std::size_t at = leaf->lower_bound(key);
  return at < leaf->count ? Position(leaf, at) : Position(leaf->next, 0);
}

KeyTree::Position KeyTree::below(std::string_view key) const {
  if (root_ == nullptr) return Position(nullptr, 0);
  Leaf* leaf = leaf_for(key);
  const std::size_t at = leaf->lower_bound(key);
  if (at > 0) return Position(leaf, at - 1);
  leaf = leaf->previous;
  return leaf == nullptr ? Position(nullptr, 0) : Position(leaf, leaf->count - 1);
}

// The first live slot below a node that has one.
KeyTree::Position KeyTree::first_live_of(Node* node, std::size_t level) {
  for (; level > 0; --level) {
    const auto& inner = static_cast<const Inner&>(*node);
    std::size_t at = 0;
    while (inner.live[at] == 0) ++at;
    node = inner.children[at];
  }
  auto* leaf = static_cast<Leaf*>(node);
  return Position(leaf, static_cast<std::size_t>(std::countr_zero(leaf->live)));
}

KeyTree::Position KeyTree::last_live_of(Node* node, std::size_t level) {
  for (; level > 0; --level) {
    const auto& inner = static_cast<const Inner&>(*node);
    std::size_t at = inner.count - 1;
    while (inner.live[at] == 0) --at;
    node = inner.children[at];
  }
  auto* leaf = static_cast<Leaf*>(node);
  return Position(leaf, 63 - static_cast<std::size_t>(std::countl_zero(leaf->live)));
}

// Climbs from the leaf of the range's start to the first node with a live key to its right.
KeyTree::Position KeyTree::first_live(const KeyRange& range) const {
  if (live_ == 0) return Position();
  const Path path = path_to(range.start);
  Position found;
  const std::uint64_t bits = path.leaf->live & ~first_bits(path.leaf->lower_bound(range.start));
  if (bits != 0) found = Position(path.leaf, static_cast<std::size_t>(std::countr_zero(bits)));
  for (std::size_t level = 0; level < height_ && found.at_end(); ++level) {
    const Step& step = path.steps[level];
    std::size_t at = step.at + 1;
    while (at < step.node->count && step.node->live[at] == 0) ++at;
    if (at < step.node->count) found = first_live_of(step.node->children[at], level);
  }
  return found.at_end() || range.contains(found.slot().key()) ? found : Position();
}

KeyTree::Position KeyTree::last_live(const KeyRange& range) const {
  if (live_ == 0) return Position();
  Position found;
  if (range.is_to_the_end()) {
    found = last_live_of(root_, height_);
  } else {
    const Path path = path_to(range.end);
    const std::uint64_t bits = path.leaf->live & first_bits(path.leaf->lower_bound(range.end));
    if (bits != 0)
      found = Position(path.leaf, 63 - static_cast<std::size_t>(std::countl_zero(bits)));
    for (std::size_t level = 0; level < height_ && found.at_end(); ++level) {
      const Step& step = path.steps[level];
      std::size_t at = step.at;
      while (at > 0 && step.node->live[at - 1] == 0) --at;
      if (at > 0) found = last_live_of(step.node->children[at - 1], level);
    }
  }
  return found.at_end() || range.contains(found.slot().key()) ? found : Position();
}

// Returns the leaf that a key belongs to, and the number of live keys in the leaves before it.
// Requires that the tree is not empty.
std::pair<const KeyTree::Leaf*, std::uint64_t> KeyTree::live_before_leaf_for(
    std::string_view key) const {
  std::uint64_t sum = 0;
  const Node* node = root_;
  for (std::size_t level = height_; level > 0; --level) {
    const auto& inner = static_cast<const Inner&>(*node);
    const std::size_t at = inner.child_for(key);
    sum += inner.sum_live(at);
    node = inner.children[at];
  }
  return {static_cast<const Leaf*>(node), sum};
}

std::uint64_t KeyTree::live_in(const KeyRange& range) const {
  if (root_ == nullptr || range.is_empty()) return 0;
  // An empty end is searched for too, as "", and the result is ignored. That is rare and cheap.
  const auto [start_leaf, before_start_leaf] = live_before_leaf_for(range.start);
  const auto [end_leaf, before_end_leaf] = live_before_leaf_for(range.end);
  Leaf::Search start(*start_leaf, range.start), end(*end_leaf, range.end);
  // The two searches advance in turn.
  for (bool goes_on = true; goes_on;) {
    goes_on = start.step();
    goes_on = end.step() || goes_on;
  }
  const auto before = [](const Leaf& leaf, std::size_t at) {
    return count_bits(leaf.live & first_bits(at));
  };
  const std::uint64_t below_start = before_start_leaf + before(*start_leaf, start.found());
  if (range.is_to_the_end()) return live_ - below_start;
  return before_end_leaf + before(*end_leaf, end.found()) - below_start;
}

// ---- put ----

const Version* KeyTree::put(VersionRef version, Hint& hint) {
  VESPER_ASSERT(version);
  const std::string_view key = version->key();
  if (last_ == nullptr || last_->last_key() < key) append(std::move(version));
  else if (seek(key, hint)) return replace(hint.path_, hint.at_, std::move(version));
  else insert(hint.path_, hint.at_, std::move(version));
  hint.path_.leaf = nullptr;  // nodes may have moved
  return nullptr;
}

const Version* KeyTree::replace(const Path& path, std::size_t at, VersionRef version) {
  Slot& slot = path.leaf->slots()[at];
  const bool was_live = slot.is_live();
  slot.older.add(std::exchange(slot.newest, std::move(version)));
  if (slot.is_live() != was_live) {
    path.leaf->live ^= std::uint64_t{1} << at;
    add_live(path, was_live ? ~std::uint64_t{0} : 1);
  }
  return &slot.older.newest();
}

// Adds `change`, modulo 2^64, to the counters of the leaf of `path`.
void KeyTree::add_live(const Path& path, std::uint64_t change) {
  live_ += change;
  for (std::size_t level = 0; level < height_; ++level)
    path.steps[level].node->live[path.steps[level].at] += change;
}

void KeyTree::append(VersionRef version) {
  if (last_ == nullptr || last_->count == kSlots) append_leaf(version->key());
  const bool live = !version->is_tombstone();
  const std::size_t at = last_->count++;
  last_->set(at, std::move(version));
  ++slots_;
  if (!live) return;
  last_->live |= std::uint64_t{1} << at;
  ++live_;
  Node* node = root_;
  for (std::size_t level = height_; level > 0; --level) {
    auto& inner = static_cast<Inner&>(*node);
    ++inner.live[inner.count - 1];
    node = inner.children[inner.count - 1];
  }
}

// Adds an empty leaf after the last one, for `key`. A full inner node is not split either: it gets
// a right neighbour with one child.
void KeyTree::append_leaf(std::string_view key) {
  auto* leaf = new Leaf;
  if (last_ == nullptr) {
    root_ = first_ = last_ = leaf;
    return;
  }
  const std::string_view separator = separator_between(last_->last_key(), key);
  Path path = path_to_last();
  leaf->previous = last_;
  last_->next = leaf;
  last_ = leaf;
  Node* added = leaf;
  for (std::size_t level = 0;; ++level) {
    if (level == height_) grow(path);
    Inner& parent = *path.steps[level].node;
    if (parent.count < kChildren) {
      parent.add(added, 0, separator);
      return;
    }
    auto* neighbour = new Inner;
    neighbour->add(added, 0, {});
    added = neighbour;
  }
}

// Inserts a slot before slot `at` of the leaf of `path`.
void KeyTree::insert(Path& path, std::size_t at, VersionRef version) {
  if (path.leaf->count == kSlots) make_room(path, at, version->key());
  const bool live = !version->is_tombstone();
  Leaf& leaf = *path.leaf;
  leaf.open(at, 1);
  leaf.set(at, std::move(version));
  ++slots_;
  if (!live) return;
  leaf.live |= std::uint64_t{1} << at;
  add_live(path, 1);
}

// Makes room in the leaf of `path`, which is full, for `key` before slot `at`. Lowers `path` and
// `at` to the leaf and slot that the key belongs to afterwards.
void KeyTree::make_room(Path& path, std::size_t& at, std::string_view key) {
  if (height_ == 0) grow(path);
  Leaf* full = path.leaf;
  const auto is_roomy = [&](std::size_t i) {
    const Inner& parent = *path.steps[0].node;
    return i < parent.count && parent.leaf(i).count <= kRoomy;
  };
  std::size_t left = path.steps[0].at;
  bool fill_left = false;
  if (left > 0 && is_roomy(left - 1)) {
    --left;
    // Ascending puts between other keys fill the leaves as appends do.
    fill_left = at == kSlots;
  } else if (!is_roomy(left + 1)) {
    auto* added = new Leaf;
    added->previous = full;
    added->next = full->next;
    (full->next == nullptr ? last_ : full->next->previous) = added;
    full->next = added;
    add_sibling(path, 0, added);
    left = path.steps[0].at;
  }
  Step& step = path.steps[0];
  Leaf& a = step.node->leaf(left);
  Leaf& b = step.node->leaf(left + 1);
  if (full == &b) at += a.count;
  const std::size_t share = fill_left ? kSlots : (a.count + b.count) / 2;
  share_leaves(*step.node, left, share);
  const bool to_left = key < step.node->separators[left + 1];
  step.at = to_left ? left : left + 1;
  path.leaf = to_left ? &a : &b;
  if (!to_left) at -= share;
}

// If the right leaf becomes empty, the caller must remove it.
void KeyTree::share_leaves(Inner& parent, std::size_t left, std::size_t slots) {
  Leaf& a = parent.leaf(left);
  Leaf& b = parent.leaf(left + 1);
  level_out(a, b, slots);
  parent.live[left] = count_bits(a.live);
  parent.live[left + 1] = count_bits(b.live);
  if (b.count > 0) parent.separators.set(left + 1, separator_between(a.last_key(), b.key(0)));
}

void KeyTree::share_inners(Inner& parent, std::size_t left, std::size_t children) {
  Inner& a = parent.inner(left);
  Inner& b = parent.inner(left + 1);
  if (b.count > 0) b.separators.set(0, parent.separators[left + 1]);
  level_out(a, b, children);
  if (b.count > 0) {
    parent.separators.set(left + 1, b.separators[0]);
    b.separators.set(0, {});
  }
  parent.live[left] = a.sum_live(a.count);
  parent.live[left + 1] = b.sum_live(b.count);
}

// Adds `sibling`, which is empty, after the node that `path` leads to at `level` (0: the leaf).
// Keeps `path` on that node. The caller must move a share to the sibling.
void KeyTree::add_sibling(Path& path, std::size_t level, Node* sibling) {
  if (level == height_) grow(path);
  if (path.steps[level].node->count == kChildren) split_inner(path, level);
  const Step& step = path.steps[level];
  step.node->open(step.at + 1, 1);
  step.node->set(step.at + 1, sibling, 0, {});
}

void KeyTree::split_inner(Path& path, std::size_t level) {
  auto* right = new Inner;
  add_sibling(path, level + 1, right);
  Step& up = path.steps[level + 1];
  share_inners(*up.node, up.at, kChildren / 2);
  Step& step = path.steps[level];
  if (step.at < kChildren / 2) return;
  step = {right, step.at - kChildren / 2};
  ++up.at;
}

// Adds a level: a root with one child. The caller must add a second one.
void KeyTree::grow(Path& path) {
  VESPER_ASSERT(height_ < kMaxHeight);
  auto* root = new Inner;
  root->add(root_, live_, {});
  root_ = root;
  path.steps[height_++] = {root, 0};
}

// ---- erase ----

void KeyTree::erase(std::string_view key) {
  VESPER_ASSERT(root_ != nullptr);
  Path path = path_to(key);
  Leaf& leaf = *path.leaf;
  const std::size_t at = leaf.find(key);
  VESPER_ASSERT(at < leaf.count);
  if (leaf.slots()[at].is_live()) add_live(path, ~std::uint64_t{0});
  --slots_;
  // `key` may be a view of the key in this slot: it is not used after this line.
  std::destroy_at(leaf.slots() + at);
  leaf.close(at, 1);
  if (leaf.count < kMinimum) fill_up(path, 0);
}

// Merges the node that `path` leads to at `level` (0: the leaf) with a neighbour, or moves slots or
// children of a neighbour to it. Invalidates `path`.
void KeyTree::fill_up(Path& path, std::size_t level) {
  Node* node = level == 0 ? path.leaf : static_cast<Node*>(path.steps[level - 1].node);
  if (level == height_) {
    drop_root();
    return;
  }
  const Step step = path.steps[level];
  Inner& parent = *step.node;
  if (parent.count == 1) {
    // Only the last node of a level can be an only child, and it may be sparse, but not empty.
    if (node->count > 0) return;
    delete_node(node, level);
    remove_child(path, level, 0);
    return;
  }
  const auto total = [&](std::size_t i) {
    return std::size_t{parent.children[i]->count} + parent.children[i + 1]->count;
  };
  const std::size_t limit = level == 0 ? kSlots : kChildren;
  const auto share = level == 0 ? share_leaves : share_inners;
  std::size_t left = step.at == 0 ? 0 : step.at - 1;
  if (total(left) > limit && step.at > 0 && step.at + 1 < parent.count && total(step.at) <= limit)
    left = step.at;
  if (total(left) <= limit) {
    share(parent, left, total(left));
    delete_node(parent.children[left + 1], level);
    remove_child(path, level, left + 1);
  } else if (!is_last(path, level)) {
    share(parent, left, total(left) / 2);
  }
}

// Removes the entry of a child that has been deleted.
void KeyTree::remove_child(Path& path, std::size_t level, std::size_t at) {
  Inner& parent = *path.steps[level].node;
  parent.close(at, 1);
  // The next child may have become the first one; the parent's parent has its separator.
  if (at == 0 && parent.count > 0) parent.separators.set(0, {});
  if (parent.count < kMinimum) fill_up(path, level + 1);
}

// Deletes the root while it is not needed.
void KeyTree::drop_root() {
  while (height_ > 0 && root_->count == 1) {
    auto* inner = static_cast<Inner*>(root_);
    root_ = inner->children[0];
    delete inner;
    --height_;
  }
  if (height_ > 0 || root_->count > 0) return;
  delete_node(root_, 0);
  root_ = nullptr;
}

// Whether the node that `path` leads to at `level` is the last one of its level.
bool KeyTree::is_last(const Path& path, std::size_t level) const {
  for (; level < height_; ++level)
    if (path.steps[level].at + 1 != path.steps[level].node->count) return false;
  return true;
}

// Deletes an empty node. Unlinks it if it is a leaf.
void KeyTree::delete_node(Node* node, std::size_t level) {
  VESPER_ASSERT(node->count == 0);
  if (level > 0) {
    delete static_cast<Inner*>(node);
    return;
  }
  auto* leaf = static_cast<Leaf*>(node);
  (leaf->previous == nullptr ? first_ : leaf->previous->next) = leaf->next;
  (leaf->next == nullptr ? last_ : leaf->next->previous) = leaf->previous;
  delete leaf;
}

bool KeyTree::free_some(std::size_t& max, std::size_t& max_bytes) {
  const auto spend = [&](const Version& version) {
    --max;
    max_bytes -= std::min<std::uint64_t>(max_bytes, version.cost());
  };
  while (root_ != nullptr && max > 0 && max_bytes > 0) {
    Path path = path_to_last();
    Leaf& leaf = *path.leaf;
    const std::size_t live_before = count_bits(leaf.live);
    while (leaf.count > 0 && max > 0 && max_bytes > 0) {
      Slot& slot = leaf.slots()[leaf.count - 1];
      if (!slot.older.empty()) {
        spend(slot.older.oldest());
        slot.older.remove_oldest();
        continue;
      }
      spend(*slot.newest);
      std::destroy_at(&slot);
      leaf.close(leaf.count - 1, 1);
      --slots_;
    }
    add_live(path, count_bits(leaf.live) - live_before);
    if (leaf.count == 0) fill_up(path, 0);
  }
  return root_ == nullptr;
}

}  // namespace vesper::kv
