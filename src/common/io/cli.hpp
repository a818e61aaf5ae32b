// The command line that all daemons share: one flag per option of the daemon's OptionTable, and --config FILE,
// --check-config, --print-config, --version, --help. Settings are read in the order file < environment < flags.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/core/result.hpp"

namespace svc {

class OptionTable;

/// Exit codes of every daemon.
enum class ExitCode : int {
  ok = 0,
  failed = 1,  ///< could not start, or broke while running
  usage = 2,   ///< wrong flags or configuration
};

/// Brings the whole file, read but not looked at, into the form with sections; `places` then says where the user wrote
/// what stands elsewhere now. Errors without the file's name, which is put before them.
using AdaptFile = std::function<Result<void>(nlohmann::json& file, const std::string& path,
                                             std::map<std::string, std::string, std::less<>>& places)>;

/// What a daemon tells about its configuration.
struct CliSpec {
  std::string name;                         ///< "infinilm-registry"
  std::string description;                  ///< one sentence, for --help
  std::string section;                      ///< section of the file that holds the options: "registry"
  std::string env_prefix;                   ///< "INFINILM_REGISTRY"; <prefix>_CONFIG names the file
  std::vector<std::string> extra_sections;  ///< further top-level keys of the file: "servers"
  std::string config_alias = {};            ///< "--config-file": another name of --config; "" = none
  AdaptFile adapt = {};                     ///< for other forms of the file; may be empty
};

enum class CliAction { run, check_config, print_config, print_text };

/// What the command line said. Kept, so that a reload applies the same flags on top of the new file.
struct DaemonCli {
  CliAction action = CliAction::run;
  std::string text;                                        ///< print_text: what --help or --version prints
  std::string config_path;                                 ///< from --config, else from <prefix>_CONFIG; "" = no file
  std::vector<std::pair<std::string, std::string>> flags;  ///< option key, value as typed
};

using GetEnv = std::function<std::optional<std::string>(const std::string&)>;
/// The process's own environment.
std::optional<std::string> process_env(const std::string& name);

/// `args` without the program's name. Reads `options` only for names and help. Error: one sentence, with the nearest
/// flag for an unknown one.
Result<DaemonCli> parse_command_line(const CliSpec& spec, const OptionTable& options,
                                     const std::vector<std::string>& args, const GetEnv& env = process_env);

/// Takes the whole file (with every section), for the sections that are not options. Messages begin with the path of
/// the key; the file's name is put before them.
using ReadExtra = std::function<Result<void>(const nlohmann::json& file)>;

/// The file of --config with its sections, adapted and checked. The error of an unknown section goes to `errors`, and the
/// file is used all the same; nullopt: it cannot be read at all.
std::optional<nlohmann::json> read_sections(const CliSpec& spec, const std::string& path,
                                            std::map<std::string, std::string, std::less<>>& places,
                                            std::vector<Error>& errors);

/// Reads file, environment and flags into the targets of `options`. Goes on after an error so that all are found: one
/// error per bad source, empty when all is well. `read_extra` may be empty; it is called only when there is a file.
std::vector<Error> load_settings(const CliSpec& spec, const DaemonCli& cli, OptionTable& options,
                                 const ReadExtra& read_extra, const GetEnv& env = process_env);

/// The settings in force, in the format of the file: {"registry": {...}} and the extra sections as the file has them;
/// indented, with a line end.
std::string print_settings(const CliSpec& spec, const DaemonCli& cli, const OptionTable& options);

}  // namespace svc
