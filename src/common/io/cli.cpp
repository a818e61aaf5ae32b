#include "common/io/cli.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/core/nearest_name.hpp"
#include "common/core/option_table.hpp"
#include "common/io/cli_help.hpp"
#include "common/io/config_file.hpp"
#include "common/version.hpp"

namespace svc {
namespace {

Error unknown_argument(const std::string& argument, const std::vector<std::string_view>& flags) {
  if (!argument.starts_with('-') || argument == "-") return invalid("unexpected argument '" + argument + "'");
  const std::string flag = argument.substr(0, argument.find('='));
  std::string message = "unknown flag '" + flag + "'";
  if (const auto near = nearest_name(flag, flags)) {
    message += "; did you mean '" + std::string(*near) + "'?";
  } else {
    message += "; --help lists all flags";
  }
  return invalid(std::move(message));
}

/// What a flag was given: the last value, or for lists all of them in one.
std::string value_of(const CLI::Option& given, const OptionTable::Option& option) {
  const std::vector<std::string>& values = given.results();
  // A bare switch gives nothing, "" or (CLI11 from 2.3 on) "{}".
  const bool bare = values.empty() || values.back().empty() || values.back() == "{}";
  if (option.is_flag) return bare ? "true" : values.back();
  if (values.empty()) return {};
  const bool adds_up =
      option.kind == "list" || option.kind == "map" || option.kind == "words" || option.kind == "environment";
  if (!adds_up) return values.back();
  const std::string separator = option.kind == "words" ? " " : ",";
  std::string joined;
  for (const std::string& value : values) joined += (joined.empty() ? "" : separator) + value;
  return joined;
}

/// CLI11 takes whatever follows, also the next flag. "--args=--port" says plainly that it is meant.
Result<void> check_is_value(const std::string& flag, const std::string& value,
                            const std::vector<std::string_view>& flags, const std::vector<std::string>& args) {
  if (std::find(flags.begin(), flags.end(), value) == flags.end()) return {};
  if (std::find(args.begin(), args.end(), flag + "=" + value) != args.end()) return {};
  return invalid("flag '" + flag + "' needs a value");
}

/// As CLI11 wants them. It would take the next argument as the value of "--name=", so that becomes "--name" and "".
std::vector<std::string> last_first(const std::vector<std::string>& args) {
  std::vector<std::string> words;
  for (auto arg = args.rbegin(); arg != args.rend(); ++arg) {
    const bool empty_value = arg->starts_with("--") && arg->find('=') == arg->size() - 1;
    if (empty_value) words.emplace_back();
    words.push_back(empty_value ? arg->substr(0, arg->size() - 1) : *arg);
  }
  return words;
}

/// CLI11's "--port: 1 required TEXT missing" in our words.
Error usage_error(const CLI::ParseError& error) {
  const std::string text = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return invalid("flag '" + text.substr(0, text.find(':')) + "' needs a value");
  }
  return invalid(text);
}

std::string version_text(const CliSpec& spec) {
  return spec.name + " " + std::string(kVersion) + " (" + std::string(kGitCommit) + ")\n";
}

DaemonCli print_text(std::string text) {
  DaemonCli cli;
  cli.action = CliAction::print_text;
  cli.text = std::move(text);
  return cli;
}

std::vector<std::string_view> known_sections(const CliSpec& spec) {
  std::vector<std::string_view> sections = {spec.section};
  sections.insert(sections.end(), spec.extra_sections.begin(), spec.extra_sections.end());
  return sections;
}

}  // namespace

std::optional<std::string> process_env(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

Result<DaemonCli> parse_command_line(const CliSpec& spec, const OptionTable& options,
                                     const std::vector<std::string>& args, const GetEnv& env) {
  DaemonCli cli;
  bool check = false;
  bool print = false;
  bool version = false;
  bool help = false;
  CLI::App app;
  app.allow_extras();
  app.set_help_flag();
  const std::string config_names = "--config" + (spec.config_alias.empty() ? "" : "," + spec.config_alias);
  const CLI::Option* const config = app.add_option(config_names, cli.config_path)->take_last();
  app.add_flag("--check-config", check);
  app.add_flag("--print-config", print);
  app.add_flag("--version", version);
  app.add_flag("-h,--help", help);
  std::vector<std::string_view> flags = {"--config", "--check-config", "--print-config", "--version", "--help"};
  if (!spec.config_alias.empty()) flags.emplace_back(spec.config_alias);
  std::vector<const CLI::Option*> given;
  for (const OptionTable::Option& option : options.options()) {
    std::string names = option.flag;
    flags.push_back(option.flag);
    for (const std::string& alias : option.flag_aliases) {
      names += "," + alias;
      flags.push_back(alias);
    }
    CLI::Option* const added = app.add_option(names)->take_all();
    added->expected(option.is_flag ? 0 : 1, 1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    given.push_back(added);
  }

  try {
    app.parse(last_first(args));
  } catch (const CLI::ParseError& error) {
    return usage_error(error);
  }
  if (help) return print_text(help_text(spec, options));
  if (version) return print_text(version_text(spec));
  if (const auto extras = app.remaining(); !extras.empty()) return unknown_argument(extras.front(), flags);

  if (check) cli.action = CliAction::check_config;
  if (print) cli.action = CliAction::print_config;
  if (auto fits = check_is_value("--config", cli.config_path, flags, args); fits.has_error()) return fits.error();
  if (config->count() == 0) cli.config_path = env(spec.env_prefix + "_CONFIG").value_or("");
  for (std::size_t i = 0; i < given.size(); ++i) {
    const OptionTable::Option& option = options.options()[i];
    if (given[i]->count() == 0) continue;
    cli.flags.emplace_back(option.key, value_of(*given[i], option));
    auto fits = check_is_value(option.flag, cli.flags.back().second, flags, args);
    if (fits.has_error()) return fits.error();
  }
  return cli;
}

std::optional<nlohmann::json> read_sections(const CliSpec& spec, const std::string& path,
                                            OptionTable::KeyPlaces& places, std::vector<Error>& errors) {
  auto file = read_config_file(path);
  if (file.has_error()) {
    errors.push_back(file.error());
    return std::nullopt;
  }
  if (spec.adapt) {
    if (auto adapted = spec.adapt(*file, path, places); adapted.has_error()) {
      errors.push_back(adapted.error());
      errors.back().message.insert(0, path + ": ");
      return std::nullopt;
    }
  }
  if (auto known = check_sections(*file, path, known_sections(spec)); known.has_error()) {
    errors.push_back(known.error());
  }
  return std::optional<nlohmann::json>(std::in_place, *std::move(file));
}

std::vector<Error> load_settings(const CliSpec& spec, const DaemonCli& cli, OptionTable& options,
                                 const ReadExtra& read_extra, const GetEnv& env) {
  std::vector<Error> errors;
  const auto keep = [&errors](const Result<void>& result, const std::string& place = {}) {
    if (result.has_value()) return;
    errors.push_back(result.error());
    errors.back().message.insert(0, place);
  };
  if (!cli.config_path.empty()) {
    OptionTable::KeyPlaces places;
    if (const auto file = read_sections(spec, cli.config_path, places, errors)) {
      const std::string place = cli.config_path + ": ";
      if (const auto section = file->find(spec.section); section != file->end()) {
        keep(options.read_json(*section, places), place);
      }
      if (read_extra) keep(read_extra(*file), place);
    }
  }
  keep(options.read_env(env));
  for (const auto& [key, value] : cli.flags) {
    std::string flag = "--" + key;
    std::replace(flag.begin(), flag.end(), '_', '-');
    keep(options.set(key, value, flag));
  }
  return errors;
}

std::string print_settings(const CliSpec& spec, const DaemonCli& cli, const OptionTable& options) {
  nlohmann::ordered_json out;
  out[spec.section] = options.values();
  OptionTable::KeyPlaces places;
  std::vector<Error> known_already;
  const auto file =
      cli.config_path.empty() ? std::nullopt : read_sections(spec, cli.config_path, places, known_already);
  for (const std::string& name : spec.extra_sections) {
    if (!file) break;
    if (const auto section = file->find(name); section != file->end()) out[name] = *section;
  }
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace svc
