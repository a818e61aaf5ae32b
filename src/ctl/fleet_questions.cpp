#include "ctl/fleet_questions.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/core/http_url.hpp"
#include "common/io/port_check.hpp"
#include "ctl/daemon_access.hpp"
#include "ctl/io/part_process.hpp"

namespace svc::ctl {
namespace {

constexpr Duration kPerCall = std::chrono::seconds(3);
constexpr const char* kAgentProgram = "infinilm-agent";

PageAnswer answer_of(const Result<HttpReply>& reply) {
  if (!reply) return {0, "", reply.error().to_string()};
  return {reply->status, reply->body, ""};
}

class Questions {
 public:
  Questions(const Host& host, const AccessOptions& access) : host_(host), access_(access) {}

  Result<FleetAnswers> ask() {
    find_parts();
    answers_.registry_url = host_.plan.registry_url;
    answers_.router_url = host_.plan.router_url;
    answers_.router_known = host_.plan.router_known;
    for (const auto& asked : {ask_registry(), ask_router(), ask_parts()}) {
      if (!asked) return asked.error();
    }
    return std::move(answers_);
  }

 private:
  void find_parts() {
    for (const Part& part : host_.plan.parts) {
      const auto running = find_part(pid_file_of(host_.facts.run_dir, part.id), program_of(part));
      if (part.here || running) add(part, running);
    }
    // What was started and is in no file any more.
    std::error_code none;
    for (std::filesystem::directory_iterator each(host_.facts.run_dir + "/logs", none), end; !none && each != end;
         each.increment(none)) {
      if (each->path().extension() != ".pid") continue;
      Part part;
      part.kind = DaemonKind::service;
      part.id = part.name = each->path().stem().string();
      const auto same = [&part](const Part& other) { return other.id == part.id; };
      if (std::any_of(host_.plan.parts.begin(), host_.plan.parts.end(), same)) continue;
      if (const auto running = find_part(each->path().string(), kAgentProgram)) add(part, running);
    }
  }

  void add(const Part& part, const std::optional<RunningPart>& running) {
    PartAnswers answers;
    answers.part = part;
    if (running) {
      answers.pid = running->pid;
      answers.uptime_seconds = running->uptime_seconds;
    }
    answers_.parts.push_back(std::move(answers));
  }

  /// The plan begins with registry and router, wherever they are.
  Result<void> ask_registry() {
    const std::string& url = answers_.registry_url;
    if (url.empty()) return {};
    const auto pages = pages_of(host_.plan.parts[0], access_);
    if (!pages) return pages.error();
    const auto replies = pages->get_all({url + "/health", url + "/services", url + "/stats"}, kPerCall);
    answers_.registry_health = answer_of(replies[0]);
    answers_.registry_services = answer_of(replies[1]);
    answers_.registry_stats = answer_of(replies[2]);
    return {};
  }

  Result<void> ask_router() {
    const std::string& url = answers_.router_url;
    if (url.empty()) return {};
    const auto pages = pages_of(host_.plan.parts[1], access_);
    if (!pages) return pages.error();
    const auto replies = pages->get_all({url + "/health", url + "/stats"}, kPerCall);
    answers_.router_health = answer_of(replies[0]);
    answers_.router_stats = answer_of(replies[1]);
    return {};
  }

  Result<void> ask_parts() {
    std::vector<std::string> urls;
    for (const PartAnswers& each : answers_.parts) {
      urls.push_back(each.part.url + "/health");
      urls.push_back(each.part.url + "/status");
    }
    if (urls.empty()) return {};
    const auto pages = pages_of(with_token(), access_);
    if (!pages) return pages.error();
    const auto replies = pages->get_all(urls, kPerCall);
    for (std::size_t i = 0; i < answers_.parts.size(); ++i) {
      PartAnswers& part = answers_.parts[i];
      if (part.part.url.empty()) {
        part.health.error = "no file of the configuration names it any more";
        continue;
      }
      part.health = answer_of(replies[2 * i]);
      part.detail = answer_of(replies[2 * i + 1]);
      if (!part.pid) part.listener = listener_of(part.part);
    }
    return {};
  }

  /// Whoever it was that started it: systemd, or somebody by hand.
  static std::optional<int> listener_of(const Part& part) {
    const auto url = parse_http_url(part.url);
    auto address = url ? IpAddress::parse(url->endpoint.host) : std::nullopt;
    if (!address) address = IpAddress::parse(part.listens);  // a certificate's name says nothing of this
    const pid_t pid = address ? listener_at(part.port, *address) : 0;
    return pid > 0 ? std::make_optional<int>(pid) : std::nullopt;
  }

  /// One token for all: /health needs none, and the agents of a host have their settings from one file.
  [[nodiscard]] const Part& with_token() const {
    const auto has_one = [](const PartAnswers& each) {
      return each.part.kind == DaemonKind::service && !each.part.token_file.empty();
    };
    const auto found = std::find_if(answers_.parts.begin(), answers_.parts.end(), has_one);
    return found == answers_.parts.end() ? answers_.parts.back().part : found->part;
  }

  const Host& host_;
  const AccessOptions& access_;
  FleetAnswers answers_;
};

}  // namespace

Result<FleetAnswers> ask_fleet(const Host& host, const AccessOptions& access) { return Questions(host, access).ask(); }

std::string pid_file_of(const std::string& run_dir, const std::string& id) { return run_dir + "/logs/" + id + ".pid"; }

std::string program_of(const Part& part) {
  switch (part.kind) {
    case DaemonKind::registry: return "infinilm-registry";
    case DaemonKind::router: return "infinilm-router";
    case DaemonKind::service: return kAgentProgram;
  }
  return {};
}

}  // namespace svc::ctl
