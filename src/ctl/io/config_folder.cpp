#include "ctl/io/config_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/io/config_file.hpp"
#include "common/io/own_names.hpp"
#include "ctl/io/program.hpp"

namespace svc::ctl {
namespace {

constexpr Duration kProgramLimit = std::chrono::seconds(20);

class Reader {
 public:
  explicit Reader(const FolderOptions& options) : options_(options) {
    std::error_code ignored;
    run_in_ = std::filesystem::is_directory(options.run_dir, ignored) ? options.run_dir : "";
  }

  Result<HostFacts> read() {
    const auto files = list_folder(options_.config_dir);
    if (!files) return files.error();
    facts_.bin_dir = options_.bin_dir;
    facts_.run_dir = options_.run_dir;
    facts_.own_names = names_of_this_host(options_.wishes);
    facts_.agent_config = files->agent;
    facts_.registry.path = files->registry;
    facts_.router.path = files->router;
    for (const std::string& path : files->services) add_services(path);
    ask_daemons();
    return std::move(facts_);
  }

 private:
  void add_services(const std::string& path) {
    const auto json = read_json_file(path);
    if (!json) return add_problem(json.error().to_string());
    const auto entries = read_services_file(*json);
    if (!entries) return add_problem(path + ": " + entries.error().to_string());
    for (const ServiceEntry& entry : *entries) {
      if (is_own_host(entry.host, facts_.own_names)) add_service(entry, path);
    }
  }

  void add_problem(std::string text) { facts_.file_problems.push_back(std::move(text)); }

  void add_service(const ServiceEntry& entry, const std::string& path) {
    const auto same = std::find_if(facts_.services.begin(), facts_.services.end(),
                                   [&entry](const ServiceFile& each) { return each.entry.name == entry.name; });
    if (same != facts_.services.end()) {
      return add_problem(path + ": '" + entry.name + "' is in " + same->path + " as well");
    }
    ServiceFile file;
    file.entry = entry;
    file.path = path;
    facts_.services.push_back(std::move(file));
  }

  /// All binaries at once: a run of one is short, but there are many.
  void ask_daemons() {
    std::vector<std::vector<std::string>> commands = {print_config("registry", facts_.registry.path),
                                                      print_config("router", facts_.router.path)};
    for (const ServiceFile& file : facts_.services) {
      commands.push_back(agent_command(file, "--print-config"));
      commands.push_back(agent_command(file, "--dry-run"));
    }
    const auto ends = run_programs(commands, run_in_, kProgramLimit);
    take_daemon("registry", ends[0], facts_.registry);
    take_daemon("router", ends[1], facts_.router);
    for (std::size_t i = 0; i < facts_.services.size(); ++i) {
      ServiceFile& file = facts_.services[i];
      take_settings("agent", ends[2 + 2 * i], file.agent, file.problem);
      if (const auto& run = ends[3 + 2 * i]; file.problem.empty() && run) file.dry_run = parse_dry_run(run->output);
    }
  }

  [[nodiscard]] std::vector<std::string> print_config(const std::string& daemon, const std::string& path) const {
    std::vector<std::string> command = {options_.bin_dir + "/infinilm-" + daemon, "--print-config"};
    if (!path.empty()) command.insert(command.end(), {"--config", path});
    return command;
  }

  [[nodiscard]] std::vector<std::string> agent_command(const ServiceFile& file, const std::string& question) const {
    std::vector<std::string> command = {options_.bin_dir + "/infinilm-agent", question};
    if (!facts_.agent_config.empty()) command.insert(command.end(), {"--config", facts_.agent_config});
    command.insert(command.end(), {"--services", file.path, "--only", file.entry.name});
    if (!options_.wishes.host.empty()) command.insert(command.end(), {"--host", options_.wishes.host});
    return command;
  }

  static void take_daemon(std::string_view section, const Result<ProgramEnd>& end, DaemonFile& file) {
    take_settings(section, end, file.settings, file.problem);
    if (file.path.empty()) return;
    if (const auto json = read_config_file(file.path)) file.states_port = states_port(*json, section);
  }

  static void take_settings(std::string_view section, const Result<ProgramEnd>& end, DaemonSettings& settings,
                            std::string& problem) {
    if (!end) {
      problem = end.error().to_string();
    } else if (end->exit_code != 0) {
      problem = reason_of(*end);
    } else if (auto read = parse_daemon_settings(end->output, section)) {
      settings = *std::move(read);
    } else {
      problem = read.error().to_string();
    }
  }

  const FolderOptions& options_;
  std::string run_in_;
  HostFacts facts_;
};

bool has_ending(const std::string& name, std::string_view ending) {
  return name.size() > ending.size() && name.ends_with(ending);
}

/// Puts the file where it belongs. JSON goes before TOML, which comes later in the order of names.
void sort_in(const std::string& path, const std::string& name, FolderFiles& files) {
  const auto take = [&path, &name](std::string_view stem, std::string& into) {
    if (name != std::string(stem) + ".json" && name != std::string(stem) + ".toml") return false;
    if (into.empty()) into = path;
    return true;
  };
  if (take("registry_config", files.registry) || take("router_config", files.router) ||
      take("agent_config", files.agent)) {
    return;
  }
  if (has_ending(name, "_services.json")) {
    files.services.push_back(path);
  } else if (has_ending(name, ".toml")) {
    files.tomls.push_back(path);
  } else if (has_ending(name, ".json")) {
    files.jsons.push_back(path);
  }
}

}  // namespace

Result<FolderFiles> list_folder(const std::string& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (std::filesystem::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    paths.push_back(each->path());
  }
  if (error) return io_failed("the configuration folder " + folder + " cannot be read", error.message());
  std::sort(paths.begin(), paths.end());
  FolderFiles files;
  for (const auto& path : paths) sort_in(path.string(), path.filename().string(), files);
  return files;
}

Result<HostFacts> read_folder(const FolderOptions& options) { return Reader(options).read(); }

std::vector<std::string> names_of_this_host(const HostWishes& wishes) {
  return wishes.host.empty() ? own_names() : std::vector{wishes.host};
}

}  // namespace svc::ctl
