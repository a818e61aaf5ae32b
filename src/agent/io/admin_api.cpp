#include "agent/io/admin_api.hpp"

#include <charconv>
#include <memory>
#include <optional>

#include "agent/io/admin_json.hpp"
#include "agent/io/engine_probe.hpp"
#include "agent/io/log_tail.hpp"
#include "common/core/wire/api_error.hpp"

namespace svc::agent {
namespace {

using Answer = asio::awaitable<HttpResponse>;

constexpr Duration kModelsTimeout = std::chrono::seconds(5);
constexpr Duration kLogTimeout = std::chrono::seconds(5);
constexpr std::size_t kUsualLines = 100;
constexpr std::size_t kMostFollowers = 16;
constexpr std::size_t kIgnoredBodyBytes = 1024;

HttpResponse answer(std::string body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

HttpResponse refusal(int status, std::string_view message) {
  HttpResponse response = answer(error_body(message), status);
  if (status == 503) {
    response.fields.emplace_back("Retry-After", "1");
  }
  return response;
}

HttpResponse log_text() {
  HttpResponse response;
  response.content_type = "text/plain; charset=utf-8";
  response.fields.emplace_back("X-Content-Type-Options", "nosniff");  // what an engine prints is not ours to vouch for
  return response;
}

/// nullopt: not a number of lines.
std::optional<std::size_t> lines_wanted(const QueryString& query) {
  const auto text = query.get("lines");
  if (!text) {
    return kUsualLines;
  }
  std::size_t lines = 0;
  const char* const end = text->data() + text->size();
  const auto [stopped, problem] = std::from_chars(text->data(), end, lines);
  if (problem != std::errc() || stopped != end || lines > kMaxTailLines) {
    return std::nullopt;
  }
  return lines;
}

bool is_set(const QueryString& query, std::string_view name) {
  const auto value = query.get(name);
  return value && (*value == "1" || *value == "true");
}

class AdminApi : public std::enable_shared_from_this<AdminApi> {
 public:
  AdminApi(asio::any_io_executor executor, InstancePages& instance, HttpClient& client, Metrics& metrics,
           BlockingWorker& reader, AdminApiSettings settings)
      : executor_(std::move(executor)),
        instance_(instance),
        client_(client),
        metrics_(metrics),
        reader_(reader),
        settings_(settings) {}

  HttpRoutes routes();

 private:
  Answer get_health(const HttpRequest& request);
  Answer get_models(const HttpRequest& request);
  Answer get_info(const HttpRequest& request);
  Answer get_status(const HttpRequest& request);
  Answer get_logs(const HttpRequest& request);
  Answer get_metrics(const HttpRequest& request);
  Answer post_restart(const HttpRequest& request);
  Answer post_drain(const HttpRequest& request);
  Answer followed(std::string file, std::size_t lines);

  asio::any_io_executor executor_;
  InstancePages& instance_;
  HttpClient& client_;
  Metrics& metrics_;
  BlockingWorker& reader_;
  AdminApiSettings settings_;
  /// Its use count less one is the number of followers; each holds it as long as it lives.
  std::shared_ptr<int> follower_ = std::make_shared<int>();
};

HttpRoutes AdminApi::routes() {
  HttpRoutes table;
  const auto add = [this, &table](const char* method, const char* pattern,
                                  Answer (AdminApi::*handler)(const HttpRequest&), Access access,
                                  std::size_t body_limit = 0) {
    table.add(method, pattern,
              HttpRoute{[self = shared_from_this(), handler](const HttpRequest& request) {
                          return ((*self).*handler)(request);
                        },
                        access, body_limit, false});
  };
  add("GET", "/health", &AdminApi::get_health, Access::open);
  add("GET", "/models", &AdminApi::get_models, Access::read);
  add("GET", "/v1/models", &AdminApi::get_models, Access::read);
  add("GET", "/info", &AdminApi::get_info, Access::read);
  add("GET", "/status", &AdminApi::get_status, Access::read);
  add("GET", "/logs", &AdminApi::get_logs, Access::read);
  add("GET", "/metrics", &AdminApi::get_metrics, Access::read);
  add("POST", "/restart", &AdminApi::post_restart, Access::write, kIgnoredBodyBytes);
  add("POST", "/drain", &AdminApi::post_drain, Access::write, kIgnoredBodyBytes);
  return table;
}

Answer AdminApi::get_health(const HttpRequest& request) {
  const auto view = instance_.view();
  const bool good = view.ready || settings_.compat_health || is_set(request.query, "compat");
  co_return answer(health_json(view, good ? "healthy" : view.status, wall_now()), good ? 200 : 503);
}

Answer AdminApi::get_models(const HttpRequest&) {
  if (!instance_.view().ready) {
    co_return refusal(503, "InfiniLM server not ready");
  }
  auto reply = co_await fetch_models(client_, instance_.engine(), kModelsTimeout);
  if (!reply) {
    co_return refusal(503, "Service unavailable");
  }
  co_return answer(std::move(reply->body));
}

Answer AdminApi::get_info(const HttpRequest&) {
  co_return answer(info_json(instance_.settings(), instance_.view(), wall_now()));
}

Answer AdminApi::get_status(const HttpRequest&) { co_return answer(status_json(instance_.view(), wall_now())); }

Answer AdminApi::get_metrics(const HttpRequest&) {
  HttpResponse response;
  response.content_type = kMetricsContentType;
  response.body = metrics_.text();
  co_return response;
}

asio::awaitable<void> relay(HttpBodyWriter& writer, std::shared_ptr<LogFollower> log) {
  writer.over().on_abandoned([&log = *log] { log.stop(); });
  bool more = !writer.over().abandoned();
  while (more) {
    const std::string piece = co_await log->next();
    more = !piece.empty();
    if (more) {
      more = co_await writer.write(piece);
    }
  }
}

Answer AdminApi::followed(std::string file, std::size_t lines) {
  if (follower_.use_count() > static_cast<long>(kMostFollowers)) {
    co_return refusal(503, "Too many clients follow this log");
  }
  const auto held = follower_;
  auto opened = co_await LogFollower::open(executor_, reader_, std::move(file), lines,
                                           Deadline::after(steady_now(), kLogTimeout));
  if (!opened) {
    co_return refusal(503, opened.error().to_string());
  }
  HttpResponse response = log_text();
  response.stream = [log = std::shared_ptr<LogFollower>(*std::move(opened)), held](HttpBodyWriter& writer) {
    return relay(writer, log);
  };
  co_return response;
}

Answer AdminApi::get_logs(const HttpRequest& request) {
  const auto lines = lines_wanted(request.query);
  if (!lines) {
    co_return refusal(400, "'lines' must be a number from 0 to " + std::to_string(kMaxTailLines));
  }
  const std::string file = instance_.view().log_file;
  if (is_set(request.query, "follow")) {
    co_return co_await followed(file, *lines);
  }
  std::function<Result<std::string>()> read = [file, count = *lines] { return last_lines(file, count); };
  auto answered = co_await reader_.run(Deadline::after(steady_now(), kLogTimeout), std::move(read));
  auto text = answered ? *std::move(answered) : Result<std::string>(disk_does_not_answer());
  if (!text) {
    co_return refusal(503, text.error().to_string());
  }
  HttpResponse response = log_text();
  response.body = *std::move(text);
  co_return response;
}

Answer AdminApi::post_restart(const HttpRequest&) {
  instance_.restart();
  co_return answer(R"({"message":"Restart requested"})", 202);
}

Answer AdminApi::post_drain(const HttpRequest&) {
  instance_.drain();
  co_return answer(R"({"message":"Drain requested"})", 202);
}

}  // namespace

HttpRoutes admin_routes(asio::any_io_executor executor, InstancePages& instance, HttpClient& client, Metrics& metrics,
                        BlockingWorker& reader, AdminApiSettings settings) {
  return std::make_shared<AdminApi>(std::move(executor), instance, client, metrics, reader, settings)->routes();
}

}  // namespace svc::agent
