#include "router/core/failure_reason.hpp"

#include "common/core/json_text.hpp"

namespace svc::router {
namespace {

struct Facts {
  std::string_view code;
  int status;
  std::string_view type;
};

constexpr std::string_view kRequest = "invalid_request_error";
constexpr std::string_view kAuthentication = "authentication_error";
constexpr std::string_view kPermission = "permission_error";
constexpr std::string_view kRateLimit = "rate_limit_error";
constexpr std::string_view kServer = "server_error";

constexpr Facts facts_of(FailureReason reason) {
  switch (reason) {
    case FailureReason::none: return {"", 0, ""};
    case FailureReason::bad_request: return {"bad_request", 400, kRequest};
    case FailureReason::body_too_large: return {"body_too_large", 413, kRequest};
    case FailureReason::body_memory_exhausted: return {"body_memory_exhausted", 503, kServer};
    case FailureReason::request_timeout: return {"request_timeout", 408, kRequest};
    case FailureReason::missing_api_key: return {"missing_api_key", 401, kAuthentication};
    case FailureReason::invalid_api_key: return {"invalid_api_key", 401, kAuthentication};
    case FailureReason::model_not_allowed: return {"model_not_allowed", 403, kPermission};
    case FailureReason::rate_limited: return {"rate_limited", 429, kRateLimit};
    case FailureReason::token_rate_limited: return {"token_rate_limited", 429, kRateLimit};
    case FailureReason::loop_detected: return {"loop_detected", 508, kServer};
    case FailureReason::method_not_allowed: return {"method_not_allowed", 405, kRequest};
    case FailureReason::model_not_found: return {"model_not_found", 404, kRequest};
    case FailureReason::no_ready_instance: return {"no_ready_instance", 503, kServer};
    case FailureReason::view_not_ready: return {"view_not_ready", 503, kServer};
    case FailureReason::queue_full: return {"queue_full", 429, kRateLimit};
    case FailureReason::queue_timeout: return {"queue_timeout", 503, kServer};
    case FailureReason::upstream_connect_failed: return {"upstream_connect_failed", 502, kServer};
    case FailureReason::upstream_connect_timeout: return {"upstream_connect_timeout", 504, kServer};
    case FailureReason::upstream_tls_failed: return {"upstream_tls_failed", 502, kServer};
    case FailureReason::upstream_reset: return {"upstream_reset", 502, kServer};
    case FailureReason::upstream_timeout: return {"upstream_timeout", 504, kServer};
    case FailureReason::upstream_hung: return {"upstream_hung", 0, kServer};
    case FailureReason::upstream_protocol_error: return {"upstream_protocol_error", 502, kServer};
    case FailureReason::upstream_cut: return {"upstream_cut", 0, kServer};
    case FailureReason::total_timeout: return {"total_timeout", 504, kServer};
    case FailureReason::client_gone: return {"client_gone", 499, kRequest};
    case FailureReason::draining: return {"draining", 503, kServer};
    case FailureReason::connection_limit: return {"connection_limit", 503, kServer};
    case FailureReason::internal_error: return {"internal_error", 500, kServer};
  }
  return {"", 0, ""};
}

}  // namespace

std::string_view to_string(FailureReason reason) { return facts_of(reason).code; }

int http_status(FailureReason reason) { return facts_of(reason).status; }

std::string_view error_type(FailureReason reason) { return facts_of(reason).type; }

std::string openai_error(FailureReason reason, std::string_view message, std::string_view param) {
  const Facts facts = facts_of(reason);
  std::string out;
  out.reserve(80 + message.size() + param.size() + facts.type.size() + facts.code.size());
  out += R"({"error":{"message":)";
  append_json_string(out, message);
  out += R"(,"type":")";
  out += facts.type;
  out += R"(","param":)";
  if (param.empty()) {
    out += "null";
  } else {
    append_json_string(out, param);
  }
  out += R"(,"code":")";
  out += facts.code;
  out += R"("}})";
  return out;
}

}  // namespace svc::router
