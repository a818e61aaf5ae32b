// Ports, addresses, programs, disk.
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/core/endpoint.hpp"
#include "common/core/http_url.hpp"
#include "common/io/config_file.hpp"
#include "common/io/port_check.hpp"
#include "ctl/checks.hpp"
#include "ctl/core/daemon_pages.hpp"
#include "ctl/daemon_access.hpp"
#include "ctl/fleet_questions.hpp"
#include "ctl/io/part_process.hpp"

namespace svc::ctl {
namespace {

using Verdict = CheckLine::Verdict;

constexpr Duration kPerCheckCall = std::chrono::seconds(3);

std::optional<RunningPart> running(const Host& host, const Part& part) {
  return find_part(pid_file_of(host.folder.run_dir, part.id), program_of(part));
}

void check_port(const std::string& owner, std::uint16_t port, const std::string& listens, const TellCheck& tell) {
  const std::string subject = "port " + std::to_string(port) + " of " + owner;
  const std::string taken = why_port_is_taken(port, listens);
  if (taken.empty()) return tell({Verdict::good, subject, "free"});
  const bool by_daemon = taken.find("(infinilm-") != std::string::npos;
  tell({by_daemon ? Verdict::note : Verdict::bad, subject,
        by_daemon ? taken + ": it was not started from this folder" : taken});
}

class ReachChecks {
 public:
  ReachChecks(const Host& host, const AccessOptions& access, const TellCheck& tell)
      : host_(host), access_(access), tell_(tell) {}

  void run(const FolderFiles& files) {
    check_registry();
    for (const ServiceFile& service : host_.facts.services) check_service(service);
    if (!files.router.empty() && host_.plan.parts[1].here) check_static(files.router);
  }

 private:
  void check_registry() {
    const std::string& url = host_.plan.registry_url;
    if (url.empty())
      return tell_({Verdict::note, "registry", "there is none: the router knows its static services alone"});
    const Part& part = host_.plan.parts[0];
    const auto parsed = parse_http_url(url);
    if (part.here && parsed && parsed->endpoint.port != part.port) {
      return tell_({Verdict::bad, "registry",
                    "others look for it at " + url + ", but it listens on port " + std::to_string(part.port)});
    }
    const auto pages = pages_of(part, access_);
    if (!pages) return tell_({Verdict::bad, "registry", pages.error().to_string()});
    const auto reply = pages->get(url + "/health", kPerCheckCall);
    if (reply && parse_registry_health(reply->body)) return tell_({Verdict::good, "registry", "answers at " + url});
    if (reply) return tell_({Verdict::bad, "registry", "what answers at " + url + " is no registry"});
    const bool not_yet = part.here && !running(host_, part);
    tell_({not_yet ? Verdict::note : Verdict::bad, "registry",
           not_yet ? "is to be started here, at " + url : url + ": " + reply.error().to_string()});
  }

  void check_service(const ServiceFile& service) {
    const std::string subject = "service " + service.entry.name;
    const auto registry = parse_http_url(host_.plan.registry_url);
    if (is_loopback_host(service.entry.host) && registry && !is_loopback_host(registry->endpoint.host)) {
      tell_({Verdict::note, subject, "is registered as " + service.entry.host + ", where no other host reaches it"});
    }
    for (const std::string& command : service.dry_run.commands) {
      const std::string program = ctl::program_of(std::string_view(command));
      const bool there = is_program(program, service.dry_run.work_dir);
      tell_({there ? Verdict::good : Verdict::bad, subject,
             there ? "runs " + program : "its program " + program + " is not there, or cannot be executed"});
      break;  // the ranks run the same
    }
  }

  /// As the agent looks for it: a path, or in PATH and then beside the agent.
  [[nodiscard]] bool is_program(const std::string& program, const std::string& work_dir) const {
    const auto executable = [](const std::filesystem::path& path) {
      std::error_code none;
      return std::filesystem::is_regular_file(path, none) && ::access(path.c_str(), X_OK) == 0;
    };
    if (program.find('/') != std::string::npos) {
      return executable(std::filesystem::path(work_dir.empty() ? host_.folder.run_dir : work_dir) / program);
    }
    const char* const path = std::getenv("PATH");
    std::istringstream folders((path == nullptr ? "" : std::string(path)) + ":" + host_.folder.bin_dir);
    for (std::string folder; std::getline(folders, folder, ':');) {
      if (!folder.empty() && executable(std::filesystem::path(folder) / program)) return true;
    }
    return false;
  }

  void check_static(const std::string& file) {
    const auto json = read_config_file(file);
    const auto pages = Pages::open({"", access_.tls_ca});
    if (!json || !pages) return;
    const auto instances = static_instances(*json);
    std::vector<std::string> urls;
    for (const StaticInstance& each : instances) urls.push_back("http://" + each.endpoint.to_string() + "/v1/models");
    const auto replies = pages->get_all(urls, kPerCheckCall);
    for (std::size_t i = 0; i < instances.size(); ++i) {
      const std::string subject = "static service " + instances[i].name;
      const bool silent = !replies[i] && replies[i].error().code != Errc::protocol_error;
      tell_({silent ? Verdict::note : Verdict::good, subject,
             silent ? replies[i].error().to_string() : "answers at " + instances[i].endpoint.to_string()});
    }
  }

  const Host& host_;
  const AccessOptions& access_;
  const TellCheck& tell_;
};

/// The nearest folder above that is there.
std::filesystem::path existing(std::filesystem::path path) {
  std::error_code none;
  while (!std::filesystem::exists(path, none) && path.has_relative_path()) path = path.parent_path();
  return path;
}

}  // namespace

void check_ports(const Host& host, const TellCheck& tell) {
  for (const Part& part : host.plan.parts) {
    if (!part.here) continue;
    if (const auto found = running(host, part)) {
      tell({Verdict::good, "port " + std::to_string(part.port) + " of " + part.name,
            "it runs, pid " + std::to_string(found->pid)});
      continue;
    }
    check_port(part.name, part.port, part.listens, tell);
    if (part.kind == DaemonKind::service) {
      check_port(part.name + "'s engine", static_cast<std::uint16_t>(part.port - 1), "0.0.0.0", tell);
    }
  }
}

void check_reach(const Host& host, const FolderFiles& files, const AccessOptions& access, const TellCheck& tell) {
  ReachChecks(host, access, tell).run(files);
}

void check_disk(const Host& host, const TellCheck& tell) {
  for (const char* name : {"logs", "data"}) {
    const std::string folder = host.folder.run_dir + "/" + name;
    const auto there = existing(folder);
    const bool writable = ::access(there.c_str(), W_OK | X_OK) == 0;
    tell({writable ? Verdict::good : Verdict::bad, "folder " + folder,
          writable ? "can be written" : there.string() + " cannot be written by this user"});
  }
  struct statvfs space {};
  const auto folder = existing(host.folder.run_dir);
  if (::statvfs(folder.c_str(), &space) == 0) {
    tell(judge_space(folder.string(), std::uint64_t{space.f_bavail} * space.f_frsize));
  }
}

}  // namespace svc::ctl
