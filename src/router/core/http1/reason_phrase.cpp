#include <algorithm>
#include <array>
#include <cstddef>

#include "router/core/http1/forward_head.hpp"

namespace svc::router {
namespace {

/// IANA's registry of status codes; ordered.
constexpr std::string_view kRegistered[] = {
    "100 Continue",
    "101 Switching Protocols",
    "102 Processing",
    "103 Early Hints",
    "200 OK",
    "201 Created",
    "202 Accepted",
    "203 Non-Authoritative Information",
    "204 No Content",
    "205 Reset Content",
    "206 Partial Content",
    "207 Multi-Status",
    "208 Already Reported",
    "226 IM Used",
    "300 Multiple Choices",
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "304 Not Modified",
    "305 Use Proxy",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
    "400 Bad Request",
    "401 Unauthorized",
    "402 Payment Required",
    "403 Forbidden",
    "404 Not Found",
    "405 Method Not Allowed",
    "406 Not Acceptable",
    "407 Proxy Authentication Required",
    "408 Request Timeout",
    "409 Conflict",
    "410 Gone",
    "411 Length Required",
    "412 Precondition Failed",
    "413 Content Too Large",
    "414 URI Too Long",
    "415 Unsupported Media Type",
    "416 Range Not Satisfiable",
    "417 Expectation Failed",
    "421 Misdirected Request",
    "422 Unprocessable Content",
    "423 Locked",
    "424 Failed Dependency",
    "425 Too Early",
    "426 Upgrade Required",
    "428 Precondition Required",
    "429 Too Many Requests",
    "431 Request Header Fields Too Large",
    "451 Unavailable For Legal Reasons",
    "500 Internal Server Error",
    "501 Not Implemented",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
    "505 HTTP Version Not Supported",
    "506 Variant Also Negotiates",
    "507 Insufficient Storage",
    "508 Loop Detected",
    "510 Not Extended",
    "511 Network Authentication Required",
};

constexpr int kLowest = 100;
constexpr std::size_t kCodes = 500;
constexpr std::string_view kUnknown = "xxx Unknown";
using UnknownLine = std::array<char, kUnknown.size()>;

/// The result is a view, so that there must be a text for each code.
constexpr auto kUnknownLines = [] {
  std::array<UnknownLine, kCodes> lines{};
  for (std::size_t i = 0; i < kCodes; ++i) {
    std::copy(kUnknown.begin(), kUnknown.end(), lines[i].begin());
    const std::size_t code = i + kLowest;
    lines[i][0] = static_cast<char>('0' + code / 100);
    lines[i][1] = static_cast<char>('0' + code / 10 % 10);
    lines[i][2] = static_cast<char>('0' + code % 10);
  }
  return lines;
}();

constexpr auto kLines = [] {
  std::array<std::string_view, kCodes> lines{};
  for (std::size_t i = 0; i < kCodes; ++i) lines[i] = {kUnknownLines[i].data(), kUnknownLines[i].size()};
  for (const std::string_view line : kRegistered) {
    const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    lines[static_cast<std::size_t>(code - kLowest)] = line;
  }
  return lines;
}();

}  // namespace

std::string_view reason_phrase(int status) {
  const bool known = status >= kLowest && status < kLowest + static_cast<int>(kCodes);
  return kLines[static_cast<std::size_t>((known ? status : 500) - kLowest)];
}

}  // namespace svc::router
