#include "http/values.hpp"

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"
#include "http/grammar.hpp"

namespace vesper::http {

namespace {

// The civil date for a count of days since 1970-01-01 (proleptic Gregorian). An era of 400 years
// has 146097 days. Counting years from March puts the leap day at the end of a year.
struct Date {
  std::int64_t year;
  unsigned month;  // 1..12
  unsigned day;    // 1..31
};

Date date_of(std::int64_t days) {
  constexpr std::int64_t kDaysPerEra = 146097;
  days += 719468;  // counted from 0000-03-01
  const std::int64_t era = (days >= 0 ? days : days - kDaysPerEra + 1) / kDaysPerEra;
  const std::int64_t day_of_era = days - era * kDaysPerEra;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t march_month = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
  const std::int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  return {era * 400 + year_of_era + (month <= 2 ? 1 : 0), static_cast<unsigned>(month),
          static_cast<unsigned>(day)};
}

void put_digits(std::int64_t value, std::size_t width, char* at) {
  for (std::size_t i = width; i-- > 0; value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Duration> parse_duration(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_decimal(text.substr(0, digits));
  const std::string_view unit = text.substr(digits);
  std::int64_t factor = 0;
  if (unit == "ms") factor = 1;
  else if (unit == "s") factor = 1000;
  else if (unit == "m") factor = 60 * 1000;
  else if (unit == "h") factor = 3600 * 1000;
  else if (unit == "d") factor = 24 * 3600 * 1000;
  if (!number || *number == 0 || factor == 0) return std::nullopt;
  if (*number > static_cast<std::uint64_t>(kMaxDurationMs / factor)) return std::nullopt;
  return milliseconds(static_cast<std::int64_t>(*number) * factor);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_decimal(text.substr(0, digits));
  const std::string_view unit = text.substr(digits);
  unsigned bits = 0;
  if (unit == "KiB") bits = 10;
  else if (unit == "MiB") bits = 20;
  else if (unit == "GiB") bits = 30;
  else if (unit == "TiB") bits = 40;
  else if (!unit.empty()) return std::nullopt;
  if (!number || *number > UINT64_MAX >> bits) return std::nullopt;
  return *number << bits;
}

std::optional<bool> parse_flag(std::string_view value) {
  if (value.empty() || value == "1" || value == "true") return true;
  if (value == "0" || value == "false") return false;
  return std::nullopt;
}

std::optional<std::string> unquote(std::string_view value) {
  if (value.empty() || value.front() != '"') return std::string(value);
  std::string content;
  for (std::size_t i = 1; i < value.size(); ++i) {
    char c = value[i];
    if (c == '"') {
      if (i + 1 != value.size()) return std::nullopt;
      return content;
    }
    if (c == '\\') {
      if (++i == value.size() || (value[i] != '"' && value[i] != '\\')) return std::nullopt;
      c = value[i];
    } else if (c < ' ' || c > '~') {
      return std::nullopt;
    }
    content += c;
  }
  return std::nullopt;  // no closing quote
}

bool list_contains(std::string_view list, std::string_view token) {
  ListReader elements(list);
  for (std::string_view element; elements.next(element);)
    if (equal_ignoring_case(element, token)) return true;
  return false;
}

namespace {

// RFC 9110 §12.4.2: 0 or 1, with up to three decimals. Nothing for any other text.
std::optional<unsigned> parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.front() != '0' && text.front() != '1'))
    return std::nullopt;
  unsigned weight = text.front() == '1' ? 1000 : 0;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  unsigned unit = 100;
  for (std::size_t i = 2; i < text.size(); ++i, unit /= 10) {
    if (!is_digit(text[i])) return std::nullopt;
    weight += static_cast<unsigned>(text[i] - '0') * unit;
  }
  return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

// The weight of one element of an Accept list.
std::optional<unsigned> weight_of(std::string_view element) {
  std::size_t semicolon = element.find(';');
  while (semicolon != std::string_view::npos) {
    element.remove_prefix(semicolon + 1);
    semicolon = element.find(';');
    const std::string_view parameter = trim(element.substr(0, semicolon));
    if (parameter.size() >= 2 && to_lower(parameter[0]) == 'q' && parameter[1] == '=')
      return parse_weight(parameter.substr(2));
  }
  return 1000;
}

// The weight that the fields of this name, lists with weights, give a value.
std::optional<unsigned> weight_in(const Fields& fields, std::string_view name,
                                  std::string_view value) {
  for (const Field& field : fields) {
    if (!equal_ignoring_case(field.name, name)) continue;
    ListReader list(field.value);
    for (std::string_view element; list.next(element);)
      if (is_media_type(element, value))
        if (const auto weight = weight_of(element)) return weight;
  }
  return std::nullopt;
}

}  // namespace

std::optional<unsigned> accept_weight(const Fields& fields, std::string_view media_type) {
  return weight_in(fields, "Accept", media_type);
}

bool accepts_coding(const Fields& fields, std::string_view coding) {
  const auto named = weight_in(fields, "Accept-Encoding", coding);
  return named.value_or(weight_in(fields, "Accept-Encoding", "*").value_or(0)) > 0;
}

bool is_media_type(std::string_view content_type, std::string_view media_type) {
  return equal_ignoring_case(trim(content_type.substr(0, content_type.find(';'))), media_type);
}

void append_http_date(std::int64_t unix_seconds, std::string& out) {
  constexpr std::string_view kDayNames = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonthNames = "JanFebMarAprMayJunJulAugSepOctNovDec";
  constexpr std::int64_t kDay = 24 * 3600;
  std::int64_t days = unix_seconds / kDay;
  std::int64_t second = unix_seconds % kDay;
  if (second < 0) {
    second += kDay;
    --days;
  }
  const Date date = date_of(days);
  VESPER_ASSERT(date.year >= 0 && date.year <= 9999);
  const std::int64_t weekday = ((days + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday

  char text[] = "Sun, 00 Jan 0000 00:00:00 GMT";
  std::copy_n(kDayNames.data() + 3 * weekday, 3, text);
  put_digits(date.day, 2, text + 5);
  std::copy_n(kMonthNames.data() + 3 * (date.month - 1), 3, text + 8);
  put_digits(date.year, 4, text + 12);
  put_digits(second / 3600, 2, text + 17);
  put_digits(second / 60 % 60, 2, text + 20);
  put_digits(second % 60, 2, text + 23);
  out.append(text, sizeof(text) - 1);
}

}  // namespace vesper::http
