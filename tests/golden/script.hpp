// The language of the golden scripts: one command per line, words separated by spaces. The comments
// in script.cpp explain each command.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "golden/cores.hpp"

namespace vesper::golden {

class Script {
 public:
  // Runs one command and returns what it printed. An unknown command, a failed `expect` and a
  // safety violation are also printed, and make failed() true.
  std::string run(const std::string& line);
  bool failed() const { return failed_; }

 private:
  using Words = std::vector<std::string>;

  void dispatch(const Words& words);
  bool build(const Words& words);
  bool messages(const Words& words);
  bool network(const Words& words);
  bool processes(const Words& words);
  bool views(const Words& words);
  void set_disk(const Words& words);
  void forge(const Words& words);
  void change_members(const Words& words);
  void lease_read(raft::ServerId id);
  void drop_kind(const Words& words);
  void expect(const Words& words);

  void say(const std::string& line) { printed_ += line + "\n"; }
  void fail(const std::string& why);
  std::uint64_t number(const std::string& word);
  raft::ServerId server(const std::string& word);
  Duration duration(const std::string& word);
  bool is_link(const std::string& word) const;
  Link link(const std::string& word);

  std::unique_ptr<Cores> cores_;
  std::uint64_t next_read_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::string printed_;
  bool failed_ = false;
};

}  // namespace vesper::golden
