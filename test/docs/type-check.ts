import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));

function compilerOptions(): ts.CompilerOptions {
  const file = `${root}tsconfig.json`;
  const { config } = ts.readConfigFile(file, ts.sys.readFile) as { config: object };
  return ts.parseJsonConfigFileContent({ ...config, files: [], include: [] }, ts.sys, root).options;
}

/** A program of the packages' sources and virtual files, which are named like files of the root folder. */
export function programOf(texts: ReadonlyMap<string, string>, changes: ts.CompilerOptions = {}): ts.Program {
  const options = { ...compilerOptions(), moduleDetection: ts.ModuleDetectionKind.Force, ...changes };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  const virtual = (path: string): string | undefined =>
    dirname(path) === dirname(`${root}x`) ? texts.get(basename(path)) : undefined;
  host.fileExists = (path) => virtual(path) !== undefined || fileExists(path);
  host.readFile = (path) => virtual(path) ?? readFile(path);
  return ts.createProgram(
    [...texts.keys()].map((name) => `${root}${name}`),
    options,
    host,
  );
}

/** The compiler errors of the virtual files, each with its name and line. */
export function problems(program: ts.Program, names: Iterable<string>): string[] {
  return [...names].flatMap((name) => {
    const file = program.getSourceFile(`${root}${name}`);
    if (file === undefined) throw new Error(`${name} is not in the program`);
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    return found.map((diagnostic) => {
      const { line } = file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
      return `${name}:${line + 1}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')}`;
    });
  });
}

/** Everything that a virtual file gets by `export * from`. */
export function exportsOf(program: ts.Program, name: string): Set<string> {
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(`${root}${name}`)!);
  return new Set(module === undefined ? [] : checker.getExportsOfModule(module).map((symbol) => symbol.name));
}
