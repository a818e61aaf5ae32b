#include "common/core/raw_head.hpp"

#include <algorithm>
#include <string>

#include "common/core/ascii.hpp"
#include "common/core/header_rules.hpp"
#include "common/core/http_url.hpp"

namespace svc {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

}  // namespace

bool has_folded_line(std::string_view head) {
  for (auto end = head.find(kLineEnd); end != std::string_view::npos;
       end = head.find(kLineEnd, end + kLineEnd.size())) {
    const std::string_view next = head.substr(end + kLineEnd.size());
    if (next.starts_with(kLineEnd)) {
      return false;
    }
    if (next.starts_with(' ') || next.starts_with('\t')) {
      return true;
    }
  }
  return false;
}

bool names_http_version(std::string_view head) {
  std::string_view line = head.substr(0, head.find(kLineEnd));
  if (line.ends_with('\r')) {
    line.remove_suffix(1);  // its LF is still on the way
  }
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first || line.find(' ', first + 1) != last) {
    return false;
  }
  const std::string_view version = line.substr(last + 1);
  return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) && version[6] == '.' &&
         is_digit(version[7]);
}

std::string_view origin_form(std::string_view target) {
  const auto scheme_end = target.find("://");
  if (target.starts_with('/') || scheme_end == std::string_view::npos) {
    return target;
  }
  const auto scheme = target.substr(0, scheme_end);
  if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) {
    return {};
  }
  const auto path = target.find_first_of("/?#", scheme_end + 3);
  if (!parse_http_url(std::string(target.substr(0, path)))) {
    return {};
  }
  if (path == std::string_view::npos) {
    return "/";
  }
  return target[path] == '/' ? target.substr(path) : std::string_view{};
}

bool allowed_chunk_extension(std::string_view extension) {
  return std::none_of(extension.begin(), extension.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

}  // namespace svc
