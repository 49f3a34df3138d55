// Reads GET /trace beside everything else that a command does. run_stream() blocks, so it runs in a
// child process, which passes the events on through a pipe.
#pragma once

#include <string>
#include <vector>

#include "app/cluster_file.hpp"
#include "app/piped_child.hpp"
#include "app/trace_news.hpp"

namespace vesper::app {

class TraceReader {
 public:
  // Reads from the first of the servers that has a trace. If its stream ends, goes on at the next
  // one, for as long as this object exists.
  explicit TraceReader(const std::vector<HostPort>& servers);

  // Readable if events have come. -1: there is no such process, and no event will come.
  int fd() const { return child_.fd(); }
  // Takes what has come. Returns true if there is something to show at once.
  bool read();
  const TraceNews& news() const { return news_; }

 private:
  bool take_block(std::string_view block);

  PipedChild child_;
  std::string rest_;  // an incomplete block
  TraceNews news_;
};

}  // namespace vesper::app
