// The registry's REST API: one function per route. Only translates between HTTP and the parts below it.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "common/io/http_server.hpp"
#include "common/io/log_limit.hpp"
#include "common/io/random.hpp"
#include "registry/io/change_writer.hpp"
#include "registry/io/prober.hpp"
#include "registry/io/registration_gate.hpp"
#include "registry/io/service_json.hpp"
#include "registry/io/text_pool.hpp"
#include "registry/io/watch_hub.hpp"

namespace svc::registry {

/// What the API stands on. All of it outlives the API; one thread.
struct ApiParts {
  asio::any_io_executor executor;
  RegistryState& state;
  ChangeWriter& writer;
  EventPublisher& publisher;
  WatchHub& watchers;
  Prober& prober;
  RegistrationGate& gate;
  RegistryMetrics& metrics;
  Random& random;
};

/// Facts of this start that answers report.
struct BootFacts {
  std::string epoch;  ///< differs from every other boot's
  TimePoint started{};
  bool started_incomplete = false;  ///< the list may be incomplete until agents have come back
  Duration warming_time{};
  std::string store_path;
  std::string store_moved_to;  ///< of a damaged file, "" when there was none
  std::string store_damage;
  std::size_t store_unreadable_rows = 0;
};

class HttpApi {
 public:
  HttpApi(ApiParts parts, BootFacts boot, std::size_t body_limit);

  /// The handlers refer to this object.
  HttpRoutes routes();
  /// From now on /health answers 503.
  void begin_drain() { draining_ = true; }
  std::string_view epoch() const { return boot_.epoch; }

 private:
  using Answer = asio::awaitable<HttpResponse>;

  // status_api.cpp
  Answer get_health(const HttpRequest& request);
  Answer get_stats(const HttpRequest& request);
  Answer get_metrics(const HttpRequest& request);
  Answer get_openapi(const HttpRequest& request);
  // list_api.cpp
  Answer get_services(const HttpRequest& request);
  // http_api.cpp
  Answer post_service(const HttpRequest& request);
  Answer get_service(const HttpRequest& request);
  Answer put_service(const HttpRequest& request);
  Answer delete_service(const HttpRequest& request);
  // lease_api.cpp
  Answer post_heartbeat(const HttpRequest& request);
  Answer get_service_health(const HttpRequest& request);

  asio::awaitable<void> wait_for_change(const HttpRequest& request, Revision since, Duration limit);
  HttpResponse watch_answer(const ListRequest& list, Revision since, bool known_since);
  asio::awaitable<Result<void>> change_status(std::string name, std::string status,
                                              std::optional<std::uint64_t> generation);

  /// Lets the state see the time first, so that what follows is judged as of now.
  void observe();
  AnswerContext context() const;
  bool warming() const;
  HttpResponse answer(std::string body, int status = 200) const;
  HttpResponse refusal(const Error& error) const;
  void note_refusal(std::string_view what, std::string_view name, const HttpRequest& request, const Error& error);
  void note_conflict(const HttpRequest& request, const Change& change);
  HttpResponse stamped(HttpResponse response) const;

  ApiParts parts_;
  BootFacts boot_;
  std::size_t body_limit_;
  bool draining_ = false;
  /// Watchers that wake together and ask the same get the same text.
  std::unordered_map<std::string, std::weak_ptr<const std::string>> shared_;
  Revision shared_revision_ = 0;
  TextPool lists_;
  // Any client can cause these lines, as often as it asks.
  LogLimiter refusals_{20, 1};
  LogLimiter take_overs_{20, 1};
  Logger log_{"api"};
};

/// The OpenAPI 3.1 description of the routes above.
std::string openapi_json(std::string_view version);

}  // namespace svc::registry
