// What an engine is asked over HTTP: which models it serves (is it ready?), and whether it is alive. Nothing is remembered.
//
// Limits of time are for the whole question. Coroutines of one thread; `client` must outlive them.
#pragma once

#include <string>
#include <vector>

#include "agent/core/engine_requests.hpp"
#include "agent/core/registration.hpp"
#include "agent/io/engine_access.hpp"
#include "common/io/http_client.hpp"

namespace svc::agent {

/// Where an engine that this agent started is asked, in order: it runs on this machine, so the loopback address is right unless the
/// engine listens on `host` alone. The next is asked only when nothing listens on the one before.
[[nodiscard]] std::vector<std::string> engine_hosts(const std::string& host);

struct EngineProbe {
  bool alive = false;
  std::string reason;  ///< why not, for people; "" when alive
  /// False: this machine is short of what a connection takes (descriptors, ports, memory), which says nothing of the
  /// engine.
  bool asked = true;
};

/// The engine's own answer that names its models: GET /v1/models, or /models when the former gives no model list. Errors: those of
/// HttpClient::call; unavailable: it answers, but with no (or an empty) model list; unauthorized: likewise, and at one of the two
/// it asks for a key, or for another one (401, 403).
asio::awaitable<Result<HttpReply>> fetch_models(HttpClient& client, EngineAccess engine, Duration timeout);
asio::awaitable<Result<ModelList>> probe_models(HttpClient& client, EngineAccess engine, Duration timeout);

/// GET `path`. Alive is whatever answers without a server error: 2xx, but also 404, 405 and 501, as engines do that have no such
/// page. Dead: 500 and above (an engine whose step loop has died says 503), no answer in time, nobody there.
asio::awaitable<EngineProbe> probe_health(HttpClient& client, EngineAccess engine, std::string path, Duration timeout);

/// GET /metrics. Errors: those of HttpClient::call; not_found: there is no such page, or it tells nothing of requests.
asio::awaitable<Result<EngineRequests>> probe_requests(HttpClient& client, EngineAccess engine, Duration timeout);

/// A chat completion of one token, /v1/chat/completions or (404) /chat/completions, read to its end. Judged like the above: a
/// refusal (4xx) is an answer too.
asio::awaitable<EngineProbe> probe_completion(HttpClient& client, EngineAccess engine, std::string model,
                                              Duration timeout);

}  // namespace svc::agent
