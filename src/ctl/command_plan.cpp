// infinilm-ctl plan: what of a configuration folder belongs to this host, and how it is started.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "common/core/endpoint.hpp"
#include "common/core/words.hpp"
#include "ctl/commands.hpp"
#include "ctl/console.hpp"
#include "ctl/host_options.hpp"

namespace svc::ctl {
namespace {

struct PlanOptions {
  HostOptions host;
  bool null = false;
};

const char* kind_of(const Part& part) {
  switch (part.kind) {
    case DaemonKind::registry: return "registry";
    case DaemonKind::router: return "router";
    case DaemonKind::service: return "service";
  }
  return "";
}

/// For scripts: a kind, the number of fields, the fields, each ending in NUL.
void print_record(const std::string& kind, const std::vector<std::string>& fields) {
  const auto word = [](const std::string& text) { std::fwrite(text.c_str(), 1, text.size() + 1, stdout); };
  word(kind);
  word(std::to_string(fields.size()));
  for (const std::string& field : fields) word(field);
}

void print_records(const Host& host) {
  print_record("fleet", {host.plan.registry_url, host.plan.router_url});
  for (const std::string& problem : host.facts.file_problems) print_record("problem", {problem});
  for (const Part& part : host.plan.parts) {
    std::vector<std::string> fields = {kind_of(part), part.id, part.name, part.here ? "yes" : "no", part.why, part.url};
    fields.push_back(Endpoint{part.listens, part.port}.to_string());
    fields.insert(fields.end(),
                  {part.log_file, part.engine_log, part.token_file, part.tls_ca, part.problem, part.remark});
    fields.insert(fields.end(), part.command.begin(), part.command.end());
    print_record("part", fields);
  }
}

void print_part(const Part& part) {
  say(part.name + (part.here ? ": belongs to this host (" : ": does not belong to this host (") + part.why + ")");
  if (!part.problem.empty()) say("  cannot be started: " + part.problem);
  if (!part.remark.empty()) say("  note: " + part.remark);
  say("  address: " + part.url);
  say("  log: " + (part.log_file.empty() ? "none" : part.log_file));
  say("  command: " + joined_words(part.command));
}

ExitCode plan(const PlanOptions& options) {
  const auto host = read_host(options.host);
  if (!host) return complain("plan", host.error().to_string(), ExitCode::usage);
  if (options.null) {
    print_records(*host);
    return ExitCode::ok;
  }
  bool good = host->facts.file_problems.empty();
  for (const std::string& problem : host->facts.file_problems) say("cannot be used: " + problem);
  for (const Part& part : host->plan.parts) {
    print_part(part);
    good = good && (!part.here || part.problem.empty());
  }
  return good ? ExitCode::ok : ExitCode::failed;
}

}  // namespace

Action declare_plan(CLI::App& app) {
  const auto options = std::make_shared<PlanOptions>();
  options->host.declare(app);
  app.add_flag("--null", options->null, "for scripts: records KIND, NUMBER, fields, each ending in NUL");
  return [options] { return plan(*options); };
}

}  // namespace svc::ctl
