// Wall-clock time as text. No decision depends on it: it names folders and informs people.
#pragma once

#include <ctime>
#include <string>

namespace vesper {

// In a format of strftime(); at most 31 bytes.
inline std::string utc_text(std::time_t time, const char* format) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof(text), format, &parts));
}
// In the form of folder names, such as "20260131T235959Z".
inline std::string utc_stamp(std::time_t time) {
  return utc_text(time, "%Y%m%dT%H%M%SZ");
}

}  // namespace vesper
