#include "registry/io/http_api.hpp"

#include "common/core/json_text.hpp"
#include "common/core/wire/api_error.hpp"
#include "registry/core/messages.hpp"

namespace svc::registry {
namespace {

int status_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return 400;
    case Errc::unauthorized: return 401;
    case Errc::forbidden: return 403;
    case Errc::not_found: return 404;
    case Errc::conflict: return 409;
    case Errc::too_large: return 413;
    case Errc::limit_exceeded: return 429;
    case Errc::unavailable: return 503;
    case Errc::timed_out:
    case Errc::connect_failed:
    case Errc::connection_lost:
    case Errc::protocol_error:
    case Errc::io_error:
    case Errc::cancelled:
    case Errc::internal: return 500;
  }
  return 500;
}

}  // namespace

HttpApi::HttpApi(ApiParts parts, BootFacts boot, std::size_t body_limit)
    : parts_(parts), boot_(std::move(boot)), body_limit_(body_limit) {}

HttpRoutes HttpApi::routes() {
  HttpRoutes table;
  const auto add = [this, &table](const char* method, const char* pattern,
                                  Answer (HttpApi::*handler)(const HttpRequest&), Access access,
                                  std::size_t body_limit = 0, bool may_wait = false) {
    table.add(method, pattern,
              HttpRoute{[this, handler](const HttpRequest& request) { return (this->*handler)(request); }, access,
                        body_limit, may_wait});
  };
  add("POST", "/services/{name}/heartbeat", &HttpApi::post_heartbeat, Access::write, body_limit_);
  add("GET", "/services", &HttpApi::get_services, Access::read, 0, true);
  add("POST", "/services", &HttpApi::post_service, Access::write, body_limit_);
  add("GET", "/services/{name}", &HttpApi::get_service, Access::read);
  add("PUT", "/services/{name}", &HttpApi::put_service, Access::write, body_limit_);
  add("DELETE", "/services/{name}", &HttpApi::delete_service, Access::write, body_limit_);
  add("GET", "/services/{name}/health", &HttpApi::get_service_health, Access::read);
  add("GET", "/health", &HttpApi::get_health, Access::open);
  add("GET", "/stats", &HttpApi::get_stats, Access::read);
  add("GET", "/metrics", &HttpApi::get_metrics, Access::read);
  add("GET", "/openapi.json", &HttpApi::get_openapi, Access::open);
  return table;
}

void HttpApi::observe() { parts_.publisher.advance(parts_.state); }

AnswerContext HttpApi::context() const { return {parts_.state, boot_.epoch, steady_now(), wall_now(), warming()}; }

bool HttpApi::warming() const { return boot_.started_incomplete && steady_now() - boot_.started < boot_.warming_time; }

HttpResponse HttpApi::stamped(HttpResponse response) const {
  response.fields.emplace_back("X-Registry-Revision", std::to_string(parts_.state.revision()));
  response.fields.emplace_back("X-Registry-Epoch", boot_.epoch);
  return response;
}

HttpResponse HttpApi::answer(std::string body, int status) const {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return stamped(std::move(response));
}

HttpResponse HttpApi::refusal(const Error& error) const {
  HttpResponse response;
  response.status = status_of(error.code);
  response.body = error.cause.empty() ? error_body(error.message) : error_body(error.message, error.cause);
  if (response.status == 503 || response.status == 429) {
    response.fields.emplace_back("Retry-After", "1");
  }
  return stamped(std::move(response));
}

HttpApi::Answer HttpApi::post_service(const HttpRequest& request) {
  observe();
  Owner owner;
  auto spec = wire::parse_registration(request.body, wall_now(), &owner);
  if (!spec) {
    co_return refusal(spec.error());
  }
  const auto admitted = co_await parts_.gate.admit(*spec);
  if (!admitted) {
    note_refusal("registration refused", spec->name, request, admitted.error());
    co_return refusal(admitted.error());
  }
  const std::string name = spec->name;
  const ChangeWriter::Plan plan = [&spec, owner](RegistryState& state, TimePoint now, InFlight in_flight) {
    return state.plan_register(*std::move(spec), now, in_flight, owner);
  };
  const auto change = co_await parts_.writer.run(name, plan);
  if (!change) {
    if (change.error().code == Errc::conflict) {
      note_refusal("registration of a live name refused", name, request, change.error());
    }
    co_return refusal(change.error());
  }
  note_conflict(request, *change);
  const auto* entry = parts_.state.find(name);
  if (!entry) {
    co_return refusal(no_such_service(name));  // unregistered by somebody else in the meantime
  }
  co_return answer(service_message_json(context(), "Service '" + name + "' registered successfully", *entry), 201);
}

void HttpApi::note_refusal(std::string_view what, std::string_view name, const HttpRequest& request,
                           const Error& error) {
  if (const auto pass = refusals_.check(steady_now())) {
    log_.warn(
        what,
        {{"name", name}, {"client", request.peer}, {"reason", error.message}, {"lines_held_back", pass->suppressed}});
  }
}

void HttpApi::note_conflict(const HttpRequest& request, const Change& change) {
  if (!change.name_conflict) {
    return;
  }
  if (const auto pass = take_overs_.check(steady_now())) {
    log_.warn("a live name was taken over from another address", {{"name", change.service.spec.name},
                                                                  {"client", request.peer},
                                                                  {"previous_address", change.previous_address},
                                                                  {"lines_held_back", pass->suppressed}});
  }
}

HttpApi::Answer HttpApi::get_service(const HttpRequest& request) {
  observe();
  const auto& name = request.params[0];
  const auto* entry = parts_.state.find(name);
  co_return entry ? answer(service_json(context(), *entry)) : refusal(no_such_service(name));
}

HttpApi::Answer HttpApi::put_service(const HttpRequest& request) {
  observe();
  const auto& name = request.params[0];
  const auto* entry = parts_.state.find(name);
  if (!entry) {
    co_return refusal(no_such_service(name));
  }
  const auto patch = wire::parse_update(request.body);
  if (!patch) {
    co_return refusal(patch.error());
  }
  const auto patched = wire::patched(entry->stored.spec, *patch);
  const bool addresses = patch->host || patch->url || patch->metadata_json;
  const auto admitted = co_await parts_.gate.admit(patched, addresses);
  if (!admitted) {
    note_refusal("update refused", name, request, admitted.error());
    co_return refusal(admitted.error());
  }
  const ChangeWriter::Plan plan = [&](RegistryState& state, TimePoint now, InFlight in_flight) {
    return state.plan_update(name, *patch, now, in_flight);
  };
  const auto change = co_await parts_.writer.run(name, plan);
  if (!change) {
    if (change.error().code == Errc::conflict) {
      note_refusal("update refused", name, request, change.error());
    }
    co_return refusal(change.error());
  }
  note_conflict(request, *change);
  entry = parts_.state.find(name);
  if (!entry) {
    co_return refusal(no_such_service(name));
  }
  co_return answer(service_message_json(context(), "Service '" + name + "' updated successfully", *entry));
}

HttpApi::Answer HttpApi::delete_service(const HttpRequest& request) {
  observe();
  const auto& name = request.params[0];
  const auto owner = parse_generation(request.query);
  if (!owner) {
    co_return refusal(owner.error());
  }
  const ChangeWriter::Plan plan = [&](RegistryState& state, TimePoint now, InFlight) {
    return state.plan_remove(name, now, *owner);
  };
  const auto change = co_await parts_.writer.run(name, plan);
  if (!change) {
    co_return refusal(change.error());
  }
  std::string body = R"({"message":)";
  append_json_string(body, "Service '" + name + "' unregistered successfully");
  body += R"(,"revision":)";
  append_json_int(body, parts_.state.revision());
  body += '}';
  co_return answer(std::move(body));
}

}  // namespace svc::registry
