// A request head's fate as one string, for tables.
#pragma once

#include <string>
#include <string_view>

#include "router/core/http1/request_head.hpp"

namespace svc::router::test {

inline std::string_view state_text(HeadState state) {
  switch (state) {
    case HeadState::incomplete: return "incomplete";
    case HeadState::complete: return "complete";
    case HeadState::refused: return "refused";
  }
  return "";
}

/// "" = complete and all of `text`; "incomplete"; else "400 message".
inline std::string fate(std::string_view text, RequestHead& head, const RequestHeadLimits& limits = {}) {
  const HeadReading reading = read_request_head(text, 0, limits, head);
  if (reading.state == HeadState::refused) {
    return std::to_string(reading.refusal.status) + " " + reading.refusal.message;
  }
  if (reading.state == HeadState::incomplete) return "incomplete";
  return reading.bytes == text.size() ? "" : "complete, " + std::to_string(reading.bytes) + " bytes";
}

inline std::string fate(std::string_view text, const RequestHeadLimits& limits = {}) {
  RequestHead head;
  return fate(text, head, limits);
}

/// `lines`: "Name: value\r\n" each, besides a Host.
inline std::string with_lines(const std::string& lines) {
  return fate("POST /v1/completions HTTP/1.1\r\nHost: a:80\r\n" + lines + "\r\n");
}

inline std::string with_host(const std::string& host) { return fate("GET / HTTP/1.1\r\nHost:" + host + "\r\n\r\n"); }

inline std::string with_target(const std::string& target) {
  return fate("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
}

}  // namespace svc::router::test
