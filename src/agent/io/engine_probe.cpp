#include "agent/io/engine_probe.hpp"

#include <optional>

#include "common/core/json_text.hpp"

namespace svc::agent {
namespace {

constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kNotImplemented = 501;
constexpr std::size_t kMaxModelsBytes = 4U << 20U;
constexpr std::size_t kMaxMetricsBytes = 4U << 20U;

/// `call` without an address, tried at each host that the engine may listen on.
asio::awaitable<Result<HttpReply>> ask(HttpClient& client, const EngineAccess& engine, HttpCall call,
                                       Deadline deadline) {
  if (!engine.key.empty()) {
    call.fields.emplace_back("Authorization", "Bearer " + engine.key);
  }
  std::optional<Error> refused;
  for (const auto& each : engine_hosts(engine.host)) {
    call.url.endpoint = Endpoint{each, engine.port};
    auto reply = co_await client.call(call, deadline);
    if (reply) {
      co_return reply;
    }
    // A name that cannot be looked up, or an address that this machine lacks, says less than that nothing listens here.
    if (!refused || (reply.error().code != Errc::unavailable && reply.error().code != Errc::io_error)) {
      refused = reply.error();
    }
    if (reply.error().code != Errc::connect_failed) {
      break;
    }
  }
  co_return *refused;
}

HttpCall get(std::string path) {
  HttpCall call;
  const auto question = path.find('?');
  if (question != std::string::npos) {
    call.url.query = path.substr(question + 1);
    path.resize(question);
  }
  call.url.path = std::move(path);
  return call;
}

EngineProbe judged(const Result<HttpReply>& reply) {
  if (!reply) {
    if (reply.error().code == Errc::too_large) {
      return {true, ""};  // it says more than was asked for
    }
    return {false, reply.error().to_string(), reply.error().code != Errc::io_error};
  }
  if (reply->status >= 500 && reply->status != kNotImplemented) {
    return {false, "status " + std::to_string(reply->status)};
  }
  return {true, ""};
}

std::string one_token(const std::string& model) {
  std::string body = R"({"model":)";
  append_json_string(body, model);
  body += R"(,"messages":[{"role":"user","content":"ping"}],"max_tokens":1,"stream":false})";
  return body;
}

}  // namespace

std::vector<std::string> engine_hosts(const std::string& host) {
  std::vector<std::string> hosts{"127.0.0.1"};
  if (host == "::" || host == "[::]") {
    hosts.emplace_back("::1");
  } else if (!host.empty() && host != "0.0.0.0" && host != hosts.front()) {
    hosts.emplace_back(without_brackets(host));
  }
  return hosts;
}

asio::awaitable<Result<HttpReply>> fetch_models(HttpClient& client, EngineAccess engine, Duration timeout) {
  const auto deadline = Deadline::after(steady_now(), timeout);
  std::string problem;
  bool wants_key = false;
  for (const char* path : {"/v1/models", "/models"}) {
    HttpCall call = get(path);
    call.max_body_bytes = kMaxModelsBytes;
    auto reply = co_await ask(client, engine, std::move(call), deadline);
    if (!reply) {
      co_return reply;
    }
    wants_key = wants_key || reply->status == kUnauthorized || reply->status == kForbidden;
    const bool good = reply->status / 100 == 2;
    if (good && parse_model_list(reply->body)) {
      co_return reply;
    }
    problem += (problem.empty() ? "" : ", ") + std::string(path) + ": " +
               (good ? "no model in it" : "status " + std::to_string(reply->status));
  }
  Error error = unavailable("the engine gives no model list", problem);
  error.code = wants_key ? Errc::unauthorized : error.code;
  co_return error;
}

asio::awaitable<Result<ModelList>> probe_models(HttpClient& client, EngineAccess engine, Duration timeout) {
  const auto reply = co_await fetch_models(client, std::move(engine), timeout);
  if (!reply) {
    co_return reply.error();
  }
  co_return *parse_model_list(reply->body);
}

asio::awaitable<EngineProbe> probe_health(HttpClient& client, EngineAccess engine, std::string path, Duration timeout) {
  HttpCall call = get(std::move(path));
  call.head_only = true;
  const auto reply = co_await ask(client, engine, std::move(call), Deadline::after(steady_now(), timeout));
  co_return judged(reply);
}

asio::awaitable<Result<EngineRequests>> probe_requests(HttpClient& client, EngineAccess engine, Duration timeout) {
  HttpCall call = get("/metrics");
  call.max_body_bytes = kMaxMetricsBytes;
  const auto reply = co_await ask(client, engine, std::move(call), Deadline::after(steady_now(), timeout));
  if (!reply) {
    co_return reply.error();
  }
  const auto requests = reply->status / 100 == 2 ? parse_engine_requests(reply->body) : EngineRequests{};
  if (!requests.known()) {
    co_return not_found("the engine has no metrics page that tells of its requests");
  }
  co_return requests;
}

asio::awaitable<EngineProbe> probe_completion(HttpClient& client, EngineAccess engine, std::string model,
                                              Duration timeout) {
  const auto deadline = Deadline::after(steady_now(), timeout);
  EngineProbe probe;
  for (const char* path : {"/v1/chat/completions", "/chat/completions"}) {
    HttpCall call = get(path);
    call.method = "POST";
    call.fields.emplace_back("Content-Type", "application/json");
    call.body = one_token(model);
    const auto reply = co_await ask(client, engine, std::move(call), deadline);
    probe = judged(reply);
    if (!reply || reply->status != kNotFound) {
      break;
    }
  }
  co_return probe;
}

}  // namespace svc::agent
