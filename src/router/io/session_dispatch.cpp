#include <algorithm>

#include "router/core/http1/forward_head.hpp"
#include "router/io/client_session.hpp"
#include "router/io/data_thread.hpp"

namespace svc::router {
namespace {

// Bodies up to this go to the upstream behind the head in one piece of memory; larger ones are gathered.
constexpr std::size_t kSmallBody = 16 * 1024;
constexpr std::size_t kMostModelBytes = 512;  // as the registry takes them

bool begins_object(std::string_view body) {
  const auto at = body.find_first_not_of(" \t\r\n");
  return at != std::string_view::npos && (body[at] == '{' || body[at] == '\xEF');
}

// The last address of X-Forwarded-For that is not a proxy of ours.
std::string_view client_behind(std::string_view forwarded_for, const std::vector<Cidr>& trusted) {
  std::string_view found;
  while (!forwarded_for.empty()) {
    const auto comma = forwarded_for.rfind(',');
    const auto entry = trim_blanks(comma == std::string_view::npos ? forwarded_for : forwarded_for.substr(comma + 1));
    if (!entry.empty()) {
      const auto address = IpAddress::parse(entry);
      if (!address) {
        break;
      }
      found = entry;
      if (std::none_of(trusted.begin(), trusted.end(), [&](const Cidr& net) { return net.contains(*address); })) {
        break;
      }
    }
    forwarded_for = comma == std::string_view::npos ? std::string_view() : forwarded_for.substr(0, comma);
  }
  return found;
}

bool needs_key(std::string_view path) { return !is_own_path(path) || path.starts_with("/v1/"); }

}  // namespace

bool ClientSession::admit(const RequestHead& head) {
  const DataSettings& settings = thread_.settings();
  if (head.has_body()) {
    x().keep_alive = false;  // whoever refuses now leaves the body unread
  }
  set_client(head);
  if (came_through(head, thread_.plane().pseudonym)) {
    refuse(FailureReason::loop_detected, "this request has been through this router before");
    return false;
  }
  if (settings.keys->enabled() && needs_key(head.path)) {
    x().keys = settings.keys;
    x().key = settings.keys->find(head.authorization);
    if (x().key == nullptr) {
      if (head.authorization.empty()) {
        refuse(FailureReason::missing_api_key, "an API key is required: send it as Authorization: Bearer KEY");
      } else {
        refuse(FailureReason::invalid_api_key, "this API key is not known");
      }
      return false;
    }
    if (!is_own_path(head.path)) {
      if (const auto wait = x().key->take_request(now())) {
        refuse(FailureReason::rate_limited, "this API key has used its requests for this minute", {},
               static_cast<unsigned>(*wait) + 1);
        return false;
      }
      if (const auto wait = x().key->token_wait(now())) {
        refuse(FailureReason::token_rate_limited, "this API key has used its tokens for this minute", {},
               static_cast<unsigned>(*wait) + 1);
        return false;
      }
    }
  }
  if (head.content_length.value_or(0) > settings.settings.max_body_bytes) {
    refuse(FailureReason::body_too_large, "the request body of " + std::to_string(*head.content_length) +
                                              " bytes is larger than " +
                                              std::to_string(settings.settings.max_body_bytes));
    return false;
  }
  x().keep_alive = head.keep_alive && !thread_.draining();
  return true;
}

void ClientSession::set_client(const RequestHead& head) {
  const auto& settings = thread_.settings().settings;
  client_text_ = peer_text_;
  if (!peer_trusted_) {
    return;
  }
  std::string_view list = head.forwarded_for;
  if (head.more_forwarded_for) {  // fields of one name are one list: HAProxy adds its own behind the client's
    thread_.made.clear();
    for (const FieldView& field : head.fields()) {
      if (equal_ignoring_case(field.name, "x-forwarded-for")) {
        thread_.made.append(field.value).append(",");
      }
    }
    list = thread_.made;
  }
  if (const auto behind = client_behind(list, settings.trusted); !behind.empty()) {
    client_text_.assign(behind);
  }
}

void ClientSession::dispatch(const RequestHead& head, std::string_view body, bool body_is_own) {
  if (is_own_path(head.path)) {
    ask_control(head);
    return;
  }
  if (client_closed_) {
    client_gone();
    return;
  }
  if (choose_group(head, body)) {
    find_upstream(&head, body, body_is_own);
  }
}

void ClientSession::ask_control(const RequestHead& head) {
  thread_.counters().own_requests.add();
  state_ = State::own;
  thread_.loop().timers().clear(timer_);
  OwnRequest request;
  request.method.assign(head.method);
  request.path.assign(head.path);
  request.query.assign(head.query);
  request.authorization.assign(head.authorization);
  request.client_address = client_text_;
  request.session_header.assign(head.field(thread_.settings().settings.session_header));
  thread_.plane().control.own_request(std::move(request), [thread = &thread_, id = id_](OwnAnswer answer) {
    thread->with_session(id, [answer = std::move(answer)](ClientSession& session) { session.take_own_answer(answer); });
  });
}

void ClientSession::take_own_answer(const OwnAnswer& answer) {
  if (state_ == State::own) {
    answer_own(answer.status, answer.content_type, answer.body, answer.extra_fields);
  }
}

bool ClientSession::choose_group(const RequestHead& head, std::string_view body) {
  const RouterSettings& settings = thread_.settings().settings;
  x().table = thread_.table();
  FactsReader::Reading reading;
  if (settings.inspect_bodies && begins_object(body)) {
    const bool by_size = settings.cache_type_routing_threshold > 0 && thread_.table_has_cache_types();
    const bool prompt = x().table->looks_at_prompts() || logs_prompts();
    reading = thread_.facts_reader.read(body, {.text_bytes = by_size, .prompt = prompt}, x().facts);
    if (x().facts.model.size() > kMostModelBytes) {
      refuse(FailureReason::model_not_found,
             "The model '" + x().facts.model.substr(0, 64) + "...' does not exist: no name is that long", "model");
      return false;
    }
    x().model = x().facts.model;
  }
  if (x().key != nullptr && !x().key->all_models) {
    const bool sure = x().facts.complete && !x().model.empty();
    if (!sure || !(x().key->allows(x().model) || x().key->allows(x().table->served_name(x().model)))) {
      refuse(FailureReason::model_not_allowed,
             sure ? "this API key may not use the model '" + x().model + "'"
                  : "this API key is for certain models only, and the request names none",
             "model");
      return false;
    }
  }
  x().group = x().table->find(x().model);
  if (x().group == nullptr) {
    if (!x().table->view_known() || x().table->upstreams().empty()) {
      refuse(FailureReason::view_not_ready, "it is not known yet which instances there are", {}, 1);
    } else if (settings.unknown_model_status == 503) {
      refuse_status(503, FailureReason::model_not_found, "No healthy services available for model '" + x().model + "'",
                    "Retry-After: 5\r\n", "model");
    } else {
      refuse(FailureReason::model_not_found, "The model '" + x().model + "' does not exist", "model");
    }
    return false;
  }
  if (by_prefix() || logs_prompts()) {
    take_prompt(reading);
  }
  take_priority(head);
  PickContext& context = x().pick_context;
  context.text_bytes = x().facts.text_bytes;
  if (x().group->method == Method::session || logs_prompts()) {
    context.session_hash = session_hash(head);
  }
  if (x().group->method == Method::ip_hash) {
    context.client_hash = hash_key(client_text_);
  }
  return true;
}

void ClientSession::build_request(const RequestHead& head, std::string_view body, bool body_is_own,
                                  std::string_view host) {
  const DataSettings& settings = thread_.settings();
  ForwardContext context;
  context.upstream_host = host;
  context.client_address = peer_text_;
  context.scheme = client_.tls() ? "https" : "http";
  context.trust_forwarded = peer_trusted_;
  context.request_id = x().request_id;
  context.traceparent = head.traceparent;
  context.via = thread_.plane().pseudonym;
  if (head.has_body() || head.content_length) {
    context.body_bytes = body.size();
  }
  context.authorization = settings.upstream_authorization;
  context.drop_authorization = x().key != nullptr;
  context.keep_upgrade = head.wants_upgrade;
  append_request_head(x().request, head, context);
  const auto at = x().request.find("\r\nHost: ");
  x().host_at = at + 8;
  x().host_length = host.size();
  if (!body_is_own) {
    x().request.append(body);
  } else if (body.size() <= kSmallBody) {
    x().request.append(body);
    thread_.give_back(x().body);
  }
}

void ClientSession::find_upstream(const RequestHead* head, std::string_view body, bool body_is_own) {
  PickContext& context = x().pick_context;
  context.now = now();
  context.random = thread_.random();
  context.tried = x().tried;
  auto& queues = thread_.plane().queues;
  if (!x().waiting && x().attempts == 0 && queues.waiting_in_all() > 0 && queues.others_first(x().group->model)) {
    build_request(*head, body, body_is_own, "-");  // others wait for this model: their turn comes first
    join_queue(own_seconds());
    return;
  }
  double seconds = 0;
  const PickResult picked = choose_upstream(seconds);
  if (picked.upstream == nullptr) {
    // Who waits already stays, also where nobody may wait any more.
    if (picked.problem == PickProblem::all_busy && (x().waiting || queues.settings().max_waiting > 0)) {
      if (head != nullptr) {
        build_request(*head, body, body_is_own, "-");
      }
      join_queue(seconds);
    } else {
      refuse_pick(picked.problem);
    }
    return;
  }
  x().upstream = picked.upstream;  // counted in its in_flight from here on
  pool_ = &thread_.pool_of(*picked.upstream);
  const std::string& host = pool_->host();
  if (head != nullptr) {
    build_request(*head, body, body_is_own, host);
  } else {
    x().request.replace(x().host_at, x().host_length, host);
    x().host_length = host.size();
  }
  begin_attempt(picked);
}

void ClientSession::refuse_pick(PickProblem problem) {
  give_up_waiting();
  const std::string whom = x().group->model.empty() ? std::string("this request") : "model '" + x().group->model + "'";
  if (problem == PickProblem::all_busy) {
    refuse(FailureReason::queue_full, "every instance for " + whom + " is at its limit of concurrent requests", {},
           thread_.plane().queues.retry_after(x().group->model, now()));
    return;
  }
  if (x().attempts == 0 && x().table->upstreams().empty()) {
    refuse(FailureReason::view_not_ready, "no instance is known yet", {}, 1);
    return;
  }
  std::string message = "No healthy services available for " + whom;
  if (x().reason != FailureReason::none) {
    message += " (last failure: " + std::string(to_string(x().reason)) + ")";
  }
  refuse(FailureReason::no_ready_instance, message, {}, 1);
}

}  // namespace svc::router
