#include "http/target.hpp"

#include <algorithm>

#include "http/grammar.hpp"
#include "http/values.hpp"

namespace vesper::http {

namespace {

bool decode(std::string_view text, bool plus_is_space, std::string& out) {
  const std::size_t before = out.size();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+' && plus_is_space) {
      out += ' ';
    } else if (c != '%') {
      out += c;
    } else {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        out.resize(before);
        return false;
      }
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return true;
}

void encode(std::string_view bytes, bool keep_slash, std::string& out) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : bytes) {
    if (is_unreserved(c) || (keep_slash && c == '/')) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

}  // namespace

TargetParts split_target(std::string_view target) {
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}, false};
  return {target.substr(0, mark), target.substr(mark + 1), true};
}

bool percent_decode(std::string_view text, std::string& out) {
  return decode(text, false, out);
}

void percent_encode_path(std::string_view bytes, std::string& out) {
  encode(bytes, true, out);
}

void percent_encode_query(std::string_view bytes, std::string& out) {
  encode(bytes, false, out);
}

QueryOutcome parse_query(std::string_view query, std::vector<QueryParameter>& out,
                         std::span<const std::string_view> repeatable) {
  out.clear();
  std::size_t single = 0;  // parameters that must not occur again
  if (query.empty()) return {};
  std::size_t from = 0;
  while (from <= query.size()) {
    const std::size_t end = std::min(query.find('&', from), query.size());
    const std::string_view piece = query.substr(from, end - from);
    from = end + 1;
    const std::size_t equals = piece.find('=');
    QueryParameter parameter;
    if (!decode(piece.substr(0, equals), true, parameter.name))
      return {QueryError::bad_percent, std::string(piece)};
    if (parameter.name.empty()) return {QueryError::empty_name, {}};
    if (equals != std::string_view::npos) {
      parameter.has_value = true;
      if (!decode(piece.substr(equals + 1), true, parameter.value))
        return {QueryError::bad_percent, std::string(piece)};
    }
    if (std::find(repeatable.begin(), repeatable.end(), parameter.name) == repeatable.end()) {
      for (const QueryParameter& earlier : out)
        if (earlier.name == parameter.name) return {QueryError::repeated, parameter.name};
      if (single == kMaxQueryParameters) return {QueryError::too_many, parameter.name};
      ++single;
    }
    out.push_back(std::move(parameter));
  }
  return {};
}

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    authority.host = text.substr(1, close - 1);
    authority.is_ipv6 = true;
    for (const char c : authority.host)
      if (hex_value(c) < 0 && c != ':' && c != '.') return std::nullopt;
    port = text.substr(close + 1);
  } else {
    authority.host = text.substr(0, text.find(':'));
    if (!all_of_class(authority.host, grammar::kUnreservedByte)) return std::nullopt;
    port = text.substr(authority.host.size());
  }
  if (authority.host.empty()) return std::nullopt;
  if (port.empty() || port == ":") return authority;
  if (port.front() != ':') return std::nullopt;
  const auto number = parse_decimal(port.substr(1));
  if (!number || *number > UINT16_MAX) return std::nullopt;
  authority.port = static_cast<std::uint16_t>(*number);
  return authority;
}

}  // namespace vesper::http
