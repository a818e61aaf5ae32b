// infinilm-ctl generate-config: a configuration of nginx or HAProxy for the instances that are there now.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "ctl/access_options.hpp"
#include "ctl/commands.hpp"
#include "ctl/core/proxy_config.hpp"
#include "ctl/io/config_output.hpp"
#include "ctl/proxy_inputs.hpp"

namespace svc::ctl {
namespace {

struct GenerateOptions {
  AccessOptions access;
  ProxyInputs inputs;
  std::string format = "nginx";
  std::string output;
  std::string listen;
  std::string model;
};

void warn(const std::string& text) { std::fprintf(stderr, "infinilm-ctl generate-config: %s\n", text.c_str()); }

ExitCode failed(const Error& error) {
  warn(error.to_string());
  return error.code == Errc::invalid_argument ? ExitCode::usage : ExitCode::failed;
}

/// "8080" or "127.0.0.1:8080".
Result<void> take_listen(const std::string& text, ProxySettings& settings) {
  if (!text.empty() && !parse_port(text, settings.port)) {
    const auto address = parse_endpoint(text);
    if (!address) return invalid("--listen must be PORT or ADDRESS:PORT, got '" + text + "'");
    settings.host = address->host;
    settings.port = address->port;
  }
  if (settings.port == 0) return invalid("the router's port is 0: say which one with --listen");
  return {};
}

ExitCode generate(const GenerateOptions& options) {
  auto router = read_router_facts(options.inputs.router_config);
  if (!router) return failed(router.error());
  ProxySettings& settings = router->settings;
  if (const auto taken = take_listen(options.listen, settings); !taken) return failed(taken.error());
  settings.model = options.model;
  auto found = find_upstreams(options.inputs, options.access, *router);
  if (!found) return failed(found.error());
  const ProxyFormat format = options.format == "nginx" ? ProxyFormat::nginx : ProxyFormat::haproxy;
  if (format == ProxyFormat::nginx) leave_out_unknown_names(*found);
  if (!found->note.empty()) warn("note: " + found->note);
  for (const std::string& sentence : found->left_out) warn("left out: " + sentence);
  const auto config = make_proxy_config(format, std::move(found->upstreams), settings);
  if (!config) return failed(config.error());
  for (const std::string& note : config->notes) warn("note: " + note);
  if (options.output.empty()) {
    std::fputs(config->text.c_str(), stdout);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return ExitCode::ok;
    return failed(io_failed("cannot write to standard output", std::generic_category().message(errno)));
  }
  const auto changed = write_config(options.output, config->text);
  if (!changed) return failed(changed.error());
  warn(options.output + (*changed ? " written: " : " is up to date: ") + std::to_string(config->instances) +
       (config->instances == 1 ? " instance" : " instances"));
  return ExitCode::ok;
}

}  // namespace

Action declare_generate_config(CLI::App& app) {
  const auto options = std::make_shared<GenerateOptions>();
  auto* const registry = app.add_option("--registry", options->inputs.registry_url,
                                        "URL of the registry whose healthy services are taken");
  app.add_option("--static", options->inputs.static_file,
                 "file with services to take instead: a services file, or a router's configuration")
      ->excludes(registry);
  app.add_option("--stand-in", options->inputs.stand_ins,
                 "file with services to take, with the router's static ones, when the registry does not answer at all; "
                 "may come several times");
  app.add_option("--router-config", options->inputs.router_config,
                 "the router's configuration: method, time-outs, retries, TLS, static services, and its registry when "
                 "neither of the above is given");
  app.add_option("--format", options->format, "what to write it for; default nginx")
      ->check(CLI::IsMember({"nginx", "haproxy"}));
  app.add_option("-o,--output", options->output, "file to write, whole or not at all; default: standard output");
  app.add_option("--listen", options->listen, "PORT or ADDRESS:PORT of the proxy; default: the router's, 8080");
  app.add_option("--model", options->model, "take only instances that serve this model, or do not say what they serve");
  options->access.declare(app);
  app.footer("With no instance to send requests to it fails, and the old file stays.");
  return [options] { return generate(*options); };
}

}  // namespace svc::ctl
