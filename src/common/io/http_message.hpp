// A request and a response of the daemons' own HTTP APIs, free of any parser's types.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/header_rules.hpp"
#include "common/core/query_string.hpp"

namespace svc {

/// Tells a handler that waits (a long poll) that its client has hung up or that the server drains.
class WaitSignal {
 public:
  /// At most one callback; called at most once, on the server's thread.
  void on_abandoned(std::function<void()> callback) { callback_ = std::move(callback); }
  void abandon() {
    abandoned_ = true;
    if (auto callback = std::exchange(callback_, nullptr)) {
      callback();
    }
  }
  bool abandoned() const { return abandoned_; }

 private:
  std::function<void()> callback_;
  bool abandoned_ = false;
};

/// Views are valid until the handler's response has been sent.
struct HttpRequest {
  std::string_view method;
  std::string_view path;  ///< raw, without the query
  QueryString query{""};
  std::vector<std::string> params;  ///< decoded path parameters, in the pattern's order
  std::span<const FieldView> fields;
  std::string_view body;
  std::string_view peer;  ///< address of the client, without port
  TimePoint received{};
  WaitSignal* wait = nullptr;  ///< set on routes with may_wait

  std::string_view field(std::string_view name) const;  ///< caseless; "" when absent
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::shared_ptr<const std::string> shared_body;  ///< used instead of `body` when set: one text for many clients
  std::vector<std::pair<std::string, std::string>> fields;
  bool close = false;

  std::string_view text() const { return shared_body ? std::string_view(*shared_body) : std::string_view(body); }
};

/// The reason phrase of a status code, "Unknown" for one without.
std::string_view reason_phrase(int status);

/// Appends status line and header fields, blank line included, for an answer with `text()` as body (and, for HEAD, only
/// its length).
void append_head(std::string& out, const HttpResponse& response, std::string_view server_name, std::string_view date,
                 bool keep_alive);

}  // namespace svc
