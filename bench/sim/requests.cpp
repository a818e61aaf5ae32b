// What each request gets: the part of Connection that knows the engine's paths.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/sim/bad_framing.hpp"
#include "bench/sim/connection.hpp"
#include "bench/sim/server.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"

namespace svc::sim {
namespace {

std::string vllm_error(int status, std::string_view type, std::string_view message) {
  std::string out = "{\"error\":{\"message\":";
  append_json_string(out, message);
  out.append(",\"type\":\"").append(type).append("\",\"param\":null,\"code\":");
  append_json_int(out, status);
  return out + "}}";
}

/// `written` is the name as it stands in a JSON text.
std::optional<std::size_t> index_of(const std::vector<std::string>& models, std::string_view written) {
  std::string model(written);
  if (model.find('\\') != std::string::npos) {
    const auto text = parse_json("\"" + model + "\"");
    if (text && text->is_string()) model = text->get<std::string>();
  }
  const auto found = std::find(models.begin(), models.end(), model);
  return found == models.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - models.begin()));
}

}  // namespace

Connection::Route Connection::route_of(std::string_view path) const {
  const Options& options = server_.options;
  if (path.starts_with("/sim/")) return Route::sim;
  if (control_) return Route::none;
  if (path == "/health" && options.kind != EngineKind::rust) return Route::health;
  const bool v1 = path.starts_with("/v1/");
  if (options.path == (v1 ? PathKind::bare : PathKind::v1)) return Route::none;
  if (v1) path.remove_prefix(3);
  if (path == "/chat/completions") return Route::chat;
  if (path == "/models") return Route::models;
  if (path == "/completions" && options.kind == EngineKind::vllm) return Route::completions;
  return Route::none;
}

FaultTarget Connection::target_of(Route route) const {
  switch (route) {
    case Route::chat:
    case Route::completions: return FaultTarget::generate;
    case Route::health: return FaultTarget::health;
    case Route::models: return FaultTarget::models;
    case Route::none:
    case Route::sim: break;
  }
  return FaultTarget::all;
}

void Connection::on_head() {
  const Route route = route_of(parser_.path());
  if (!server_.faults.empty() && route != Route::sim) {
    const auto struck = server_.faults.strike(target_of(route), [](const Fault& fault) {
      const BadFraming* framing = fault.kind == FaultKind::framing ? find_framing(fault.name) : nullptr;
      return fault.kind == FaultKind::reset_on_head || (framing != nullptr && is_early(*framing));
    });
    if (struck) {
      ++server_.stats.faults;
      if (struck->kind == FaultKind::reset_on_head) return break_off(true);
      const BadFraming& framing = *find_framing(struck->name);
      write(render(framing, "{\"early\":true}"));
      if (framing.close) return break_off(false);
      answered_early_ = true;
      return;
    }
  }
  if (parser_.expects_continue()) write("HTTP/1.1 100 Continue\r\n\r\n");
}

void Connection::on_request() {
  keep_alive_ = parser_.keep_alive() && !server_.draining();
  http10_ = parser_.http10();
  no_body_ = parser_.method() == "HEAD";
  const Route route = route_of(parser_.path());
  if (route == Route::sim) return sim_api();
  ++server_.stats.requests;
  server_.recorder.add(number_, parser_.head(), parser_.body(), parser_.trailer());
  if (!server_.faults.empty() && strike(route)) return;
  run(route);
}

/// True: the fault was all that this request gets.
bool Connection::strike(Route route) {
  const auto whole = server_.faults.strike(target_of(route), [](const Fault& fault) {
    const bool resets = fault.kind == FaultKind::reset || fault.kind == FaultKind::reset_on_head;
    return resets || fault.kind == FaultKind::hang || fault.kind == FaultKind::hang_health ||
           fault.kind == FaultKind::framing || fault.kind == FaultKind::status;
  });
  if (whole) {
    ++server_.stats.faults;
    if (whole->kind == FaultKind::hang || whole->kind == FaultKind::hang_health) {
      state_ = State::stalled;
    } else if (whole->kind == FaultKind::status) {
      const std::string wait =
          whole->retry_after < 0 ? "" : "retry-after: " + std::to_string(whole->retry_after) + "\r\n";
      answer(whole->status, "{\"error\":\"injected status " + std::to_string(whole->status) + "\"}", wait);
    } else if (whole->kind == FaultKind::framing) {
      const BadFraming& framing = *find_framing(whole->name);
      keep_alive_ = keep_alive_ && !framing.close;
      write(render(framing, "{\"framing\":\"" + whole->name + "\"}"));
      finish_answer();
    } else {
      break_off(true);
    }
    return true;
  }
  dying_ = server_.faults.strike(target_of(route), [](const Fault& fault) {
    return fault.kind == FaultKind::reset_after_head || fault.kind == FaultKind::die_mid_stream;
  });
  const auto slow =
      server_.faults.strike(target_of(route), [](const Fault& fault) { return fault.kind == FaultKind::slow; });
  server_.stats.faults += (dying_ ? 1U : 0U) + (slow ? 1U : 0U);
  if (slow && slow->ms > 0) {
    held_ = true;
    hold_ = server_.delays.at(steady_now() + std::chrono::milliseconds(slow->ms), [this] {
      hold_.reset();
      held_ = false;
      if (!flush()) return break_off(false);
      if (out_.empty()) server_.engine.unblock(job_);
      if (input_ended_) break_off(false);
    });
  }
  return false;
}

void Connection::run(Route route) {
  const std::string_view method = parser_.method();
  const bool posts = route == Route::chat || route == Route::completions;
  const bool rust = server_.options.kind == EngineKind::rust;
  const bool allowed = posts ? method == "POST" : method == "GET" || method == "HEAD";
  if (route == Route::none || (!allowed && rust)) {
    if (!rust) return answer(404, "{\"detail\":\"Not Found\"}");
    std::string body = "{\"method\":";
    append_json_string(body, method);
    append_json_string(body += ",\"uri\":", parser_.target());
    return answer(404, body + "}");
  }
  if (!allowed) return answer(405, "{\"detail\":\"Method Not Allowed\"}", posts ? "allow: POST\r\n" : "allow: GET\r\n");
  switch (route) {
    case Route::models: return answer(200, server_.answers.models());
    case Route::health:
      if (server_.engine.failed()) return answer(503, "{\"status\":\"unhealthy\"}");
      return answer(200, server_.options.kind == EngineKind::vllm ? "" : "{\"status\":\"healthy\"}");
    case Route::chat:
    case Route::completions: return generate(route == Route::completions);
    case Route::none:
    case Route::sim: return;
  }
}

/// True: the request was answered with an error.
bool Connection::refuse_generation(const ChatRequest& chat) {
  const EngineKind kind = server_.options.kind;
  const bool unknown = kind != EngineKind::infinilm && !index_of(server_.options.models, chat.model);
  if (unknown && kind == EngineKind::rust) {
    answer_text(404, "Model not found: " + std::string(chat.model));
  } else if (unknown) {
    answer(404, vllm_error(404, "NotFoundError", "The model `" + std::string(chat.model) + "` does not exist."));
  } else if (!chat.has_message && kind == EngineKind::vllm) {
    answer(400, vllm_error(400, "BadRequestError", "messages are missing"));
  } else if (kind == EngineKind::vllm && !forced_tool(chat)) {
    answer(400, vllm_error(400, "BadRequestError", "tool_choice needs a function of tools"));
  } else if (!chat.has_message && kind == EngineKind::infinilm) {
    answer(400, "{\"error\":\"No message provided\"}");
  } else if (kind == EngineKind::rust && (!chat.plain || !chat.has_message)) {
    answer_text(400, "unsupported message");
  } else {
    return false;
  }
  return true;
}

void Connection::generate(bool completions) {
  const Options& options = server_.options;
  ChatRequest& chat = server_.chat;
  if (!parse_chat(parser_.body(), server_.engine.wants_prompt_text(), chat)) {
    if (options.kind == EngineKind::rust) return answer_text(400, "invalid JSON");
    if (options.kind == EngineKind::vllm) return answer(400, vllm_error(400, "BadRequestError", "Invalid JSON"));
    return answer(400, "{\"error\":\"Invalid JSON\"}");
  }
  if (refuse_generation(chat)) return;

  job_.stream = chat.stream || options.kind == EngineKind::rust;
  job_.number = server_.next_number();
  job_.prompt_tokens = static_cast<std::uint32_t>((chat.prompt_bytes + kBytesPerToken - 1) / kBytesPerToken);
  auto limit = chat.max_tokens;
  if (options.kind == EngineKind::vllm && chat.max_completion_tokens) limit = chat.max_completion_tokens;
  job_.max_tokens = limit.value_or(options.tokens);
  const bool overflows = options.cache == CacheKind::fixed && job_.prompt_tokens > options.max_cache_len;
  if (overflows) job_.max_tokens = 0;

  generation_.number = job_.number;
  generation_.model = index_of(options.models, chat.model).value_or(0);
  generation_.prompt_tokens = job_.prompt_tokens;
  generation_.generated = generation_.cached_tokens = 0;
  generation_.completions = completions;
  generation_.include_usage = chat.include_usage;
  generation_.finish_reason = limit || overflows ? "length" : "stop";
  generation_.tool.clear();
  if (options.kind == EngineKind::vllm && !completions) generation_.tool = forced_tool(chat).value_or("");
  if (!generation_.tool.empty()) generation_.finish_reason = "tool_calls";
  cancel_after_ = chat.cancel_after;

  state_ = State::generating;
  const double seconds = options.request_timeout;
  server_.loop.timers().set(timer_, server_.loop.now() + Duration(static_cast<Duration::rep>(seconds * 1e9)));
  if (job_.stream) {
    std::string out;
    server_.answers.begin_stream(out, generation_, framing());
    if (options.role_at_once) server_.answers.open_message(out, generation_, framing());
    if (http10_) keep_alive_ = false;
    write(out);
    if (dying_ && (dying_->kind == FaultKind::reset_after_head || dying_->after == 0)) {
      return break_off(dying_->kind == FaultKind::reset_after_head || dying_->rst);
    }
  }
  server_.engine.submit(job_, chat.prompt);
}

void Connection::sim_api() {
  const std::string_view path = parser_.path();
  const std::string_view method = parser_.method();
  const bool gets = method == "GET" || method == "HEAD";
  if (path == "/sim/stats" && gets) return answer(200, server_.stats_json());
  if (path == "/sim/requests" && gets) return answer(200, server_.recorder.to_json());
  if (path == "/sim/requests" && method == "DELETE") {
    server_.recorder.clear();
    return answer(200, "{}");
  }
  if (path == "/sim/fault" && method == "POST") return set_fault();
  if (path.starts_with("/sim/fault") && method == "DELETE") {
    const std::string_view which = path.substr(std::min(path.size(), std::string_view("/sim/fault/").size()));
    const bool number =
        !which.empty() && std::all_of(which.begin(), which.end(), [](char c) { return c >= '0' && c <= '9'; });
    bool found = true;
    if (which.empty()) {
      server_.faults.clear();
    } else {
      found = number && which.size() < 18 ? server_.faults.remove(std::stoull(std::string(which)))
                                          : server_.faults.remove(which);
    }
    server_.apply_faults();
    return answer(found ? 200 : 404, server_.faults.to_json());
  }
  if (path == "/sim/fault" && gets) return answer(200, server_.faults.to_json());
  answer(404, "{\"detail\":\"Not Found\"}");
}

void Connection::set_fault() {
  const auto fault = parse_fault(parser_.body());
  if (fault.has_error()) {
    std::string body = "{\"error\":";
    append_json_string(body, fault.error().message);
    return answer(400, body + "}");
  }
  server_.add_fault(*fault, this);
  answer(200, server_.faults.to_json());
}

}  // namespace svc::sim
