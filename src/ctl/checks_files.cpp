// What the daemons' own binaries say of the files.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "common/io/config_file.hpp"
#include "common/version.hpp"
#include "ctl/checks.hpp"
#include "ctl/io/program.hpp"

namespace svc::ctl {
namespace {

using Verdict = CheckLine::Verdict;

constexpr Duration kLimit = std::chrono::seconds(20);

std::string base(const std::string& path) { return std::filesystem::path(path).filename().string(); }

class FileChecks {
 public:
  FileChecks(const Host& host, const FolderFiles& files, const TellCheck& tell)
      : host_(host), files_(files), tell_(tell) {}

  void run() {
    check_daemon_file("registry", files_.registry);
    check_daemon_file("router", files_.router);
    for (const std::string& path : files_.services) check_services(path);
    if (!files_.agent.empty() && files_.services.empty()) {
      tell_({Verdict::note, base(files_.agent), "not checked: no services file says whose settings these are"});
    }
    for (const std::string& path : files_.tomls) {
      if (!read_.contains(path)) check_toml(path);
    }
    for (const std::string& path : files_.jsons) {
      const auto json = read_json_file(path);
      if (json) tell_({Verdict::note, base(path), "nothing here reads it"});
      if (!json) tell_({Verdict::bad, base(path), json.error().to_string()});
    }
  }

 private:
  void check_daemon_file(const std::string& daemon, const std::string& path) {
    if (path.empty())
      return tell_({Verdict::note, daemon + "_config.json", "not there: no " + daemon + " of this folder"});
    judge(base(path), check({host_.folder.bin_dir + "/infinilm-" + daemon, "--config", path, "--check-config"}),
          "valid");
  }

  std::string check(const std::vector<std::string>& command) const {
    std::error_code ignored;
    const bool there = std::filesystem::is_directory(host_.folder.run_dir, ignored);
    const auto end = run_program(command, there ? host_.folder.run_dir : "", kLimit);
    if (!end) return end.error().to_string();
    return end->exit_code == 0 ? "" : reasons_of(*end);
  }

  void judge(const std::string& subject, const std::string& fault, const std::string& praise) {
    tell_({fault.empty() ? Verdict::good : Verdict::bad, subject, fault.empty() ? praise : fault});
  }

  /// As each of the file's hosts would read it.
  void check_services(const std::string& path) {
    const auto json = read_json_file(path);
    const auto entries = json ? read_services_file(*json) : Result<std::vector<ServiceEntry>>(json.error());
    if (!entries) return judge(base(path), entries.error().to_string(), "");
    std::set<std::string> hosts;
    for (const ServiceEntry& entry : *entries) {
      hosts.insert(entry.host);
      note_read(path, entry);
    }
    if (hosts.empty()) return judge(base(path), "the list 'services' is empty", "");
    for (const std::string& host : hosts) {
      std::vector<std::string> command = {host_.folder.bin_dir + "/infinilm-agent"};
      if (!files_.agent.empty()) command.insert(command.end(), {"--config", files_.agent});
      command.insert(command.end(), {"--services", path, "--host", host, "--check-config"});
      const auto count =
          std::count_if(entries->begin(), entries->end(), [&host](const auto& e) { return e.host == host; });
      judge(base(path) + " for " + host, check(command),
            "valid, " + std::to_string(count) + (count == 1 ? " service" : " services"));
    }
  }

  /// The files that the agent takes an entry's settings from.
  void note_read(const std::string& path, const ServiceEntry& entry) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    for (const std::string& name : {entry.config, entry.name + ".toml", std::string("service.toml")}) {
      if (!name.empty()) read_.insert((folder / name).lexically_normal().string());
    }
  }

  /// One that no services file names: for `infinilm-agent --config`. It may leave the port to the command line.
  void check_toml(const std::string& path) {
    const std::string agent = host_.folder.bin_dir + "/infinilm-agent";
    judge(base(path), check({agent, "--config", path, "--port", "5000", "--check-config"}),
          "valid, for infinilm-agent --config");
  }

  const Host& host_;
  const FolderFiles& files_;
  const TellCheck& tell_;
  std::set<std::string> read_;  ///< files that were checked with a services file
};

}  // namespace

void check_binaries(const Host& host, const TellCheck& tell) {
  const std::string own = std::string(kVersion) + " (" + std::string(kGitCommit) + ")";
  for (const char* name : {"infinilm-registry", "infinilm-router", "infinilm-agent"}) {
    const auto end = run_program({host.folder.bin_dir + "/" + name, "--version"}, "", kLimit);
    if (!end || end->exit_code != 0) {
      tell({Verdict::bad, name, end ? reason_of(*end) : end.error().to_string()});
      continue;
    }
    std::string version = end->output.substr(std::min(end->output.find(' ') + 1, end->output.size()));
    while (version.ends_with('\n')) version.pop_back();
    if (version == own) {
      tell({Verdict::good, name, host.folder.bin_dir + ", version " + version});
    } else {
      tell({Verdict::note, name, "version " + version + ", while infinilm-ctl is " + own});
    }
  }
}

void check_files(const Host& host, const FolderFiles& files, const TellCheck& tell) {
  FileChecks(host, files, tell).run();
}

}  // namespace svc::ctl
