// `vesper man`: the manual page vesper(1), made from the texts of --help and the syntax of the
// commands.
#include <fmt/core.h>

#include "app/command_list.hpp"
#include "app/commands.hpp"
#include "app/help.hpp"
#include "app/stdio.hpp"

namespace vesper::app {
namespace {

constexpr std::size_t kLine = 76;

// Text for a macro's argument or a line of text (groff_char(7)): hyphens and minus signs can be
// copied, and a line does not begin with a control character.
std::string escape(std::string_view text) {
  std::string out;
  bool is_line_start = true;
  for (const char c : text) {
    if (is_line_start && (c == '.' || c == '\'')) out += "\\&";
    is_line_start = c == '\n';
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else if (c == '\'') out += "\\(aq";
    else if (c == '`') out += "\\(ga";
    else if (c == '^') out += "\\(ha";
    else if (c == '~') out += "\\(ti";
    else out += c;
  }
  return out;
}

// Paragraphs, which blank lines separate. Each sentence begins on a new line, as man(7) asks.
std::string paragraphs(std::string_view text) {
  std::string out, line;
  const auto end_line = [&] {
    if (!line.empty()) out += escape(line) + "\n";
    line.clear();
  };
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(" \n");
    const std::string_view word = text.substr(0, end);
    if (word.empty()) {  // a blank line
      end_line();
      out += ".PP\n";
    } else {
      if (escape(line).size() + escape(word).size() > kLine) end_line();
      line += (line.empty() ? "" : " ") + std::string(word);
      if (word.back() == '.') end_line();
    }
    text.remove_prefix(end + 1);
  }
  end_line();
  return out;
}

std::string example(std::string_view lines) {
  return fmt::format(".PP\n.RS 4\n.nf\n{}.fi\n.RE\n", escape(lines));
}

std::string option_paragraph(const OptionDescription& option) {
  return fmt::format(".TP\n\\fB{}\\fR\n{}\n", escape(option_line(option)), escape(option.help));
}

// Most commands have these. They are described once.
bool is_common(const OptionDescription& option) {
  for (const OptionDescription& common : describe(*find_command("compact")).options)
    if (common.names == option.names && common.help == option.help) return true;
  return false;
}

std::string command_section(const Command& command) {
  const HelpText& help = help_of(command.name);
  // The usage line begins with "vesper COMMAND", which is set in bold.
  const std::string usage = usage_line(command);
  const std::string name = fmt::format("vesper {}", command.name);
  std::string out = fmt::format(".SS \"{}\"\n", escape(name));
  out += fmt::format("\\fB{}\\fR{}\n.PP\n", escape(name), escape(usage.substr(name.size())));
  out += paragraphs(help.text);
  out += example(help.examples);
  for (const OptionDescription& option : describe(command).options)
    if (!is_common(option)) out += option_paragraph(option);
  return out;
}

std::string manual() {
  std::string out = fmt::format(
      ".\\\" Printed by: vesper man\n.TH VESPER 1 \"\" \"vesper {}\" \"Vesper manual\"\n",
      VESPER_VERSION);
  out += ".SH NAME\nvesper \\- a fault\\-tolerant, distributed key\\-value store\n";
  out += ".SH SYNOPSIS\n\\fBvesper\\fR [flags] \\fICOMMAND\\fR ...\n";
  out += ".SH DESCRIPTION\n";
  out += paragraphs(
      "One program is the server and the client. Flags may precede or follow the command, and --\n"
      "ends them. Data goes to stdout, everything else to stderr.\n\n");
  out += paragraphs(endpoints_text());
  out += example(main_examples());
  out += ".SH \"COMMON FLAGS\"\nCommands that talk to the cluster have these flags.\n";
  for (const OptionDescription& option : describe(*find_command("compact")).options)
    out += option_paragraph(option);
  for (const CommandGroup& group : command_groups()) {
    out += fmt::format(".SH \"COMMANDS: {}\"\n", escape(group.title));
    for (const Command& command : group.commands)
      if (command.listing == Command::Listing::listed) out += command_section(command);
  }
  out += ".SH EXIT STATUS\n";
  for (const ExitCodeText& text : exit_code_texts())
    out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", text.code, escape(text.meaning));
  out += ".SH ENVIRONMENT\n.TP\n\\fBVESPER_ENDPOINTS\\fR\n";
  out += escape("Addresses of nodes, comma-separated. http:// and a trailing / are optional.\n");
  out += ".TP\n\\fBVESPER_CACERT\\fR, \\fBVESPER_CLIENT_CERT\\fR, \\fBVESPER_CLIENT_KEY\\fR\n";
  out += "The same as \\-\\-cacert, \\-\\-cert and \\-\\-key.\n";
  out += ".TP\n\\fBNO_COLOR\\fR\nIf it is set and not empty, the output has no colours.\n";
  out += ".SH FILES\n.TP\n\\fB./ip_list.txt\\fR\n";
  out += escape("The list of the nodes: one http://host:port or https://host:port per line.\n");
  out += ".SH SEE ALSO\n.BR curl (1),\n.BR jq (1)\n";
  return out;
}

}  // namespace

int run_manual(const ManualOptions&) {
  return print(manual());
}

}  // namespace vesper::app
