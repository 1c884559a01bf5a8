/**
 * Fails when an export of a room, or a public member of an exported class or interface port, has no doc comment.
 * Run by `npm run check`; prints one line for each that lacks one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import ts from 'typescript';

const root = join(import.meta.dirname, '..');
const config = ts.parseJsonConfigFileContent(ts.parseConfigFileTextToJson('tsconfig.json', readFileSync(join(root, 'tsconfig.json'), 'utf8')).config, ts.sys, root);
const doors = readdirSync(join(root, 'libs')).map((room) => join(root, 'libs', room, 'index.ts'));
const program = ts.createProgram(doors, config.options);
const checker = program.getTypeChecker();

/** Where a declaration stands, for people. */
function place(node: ts.Node, name: string): string {
  const file = node.getSourceFile();
  const { line } = file.getLineAndCharacterOfPosition(node.getStart());
  return `${relative(root, file.fileName)}:${line + 1} ${name}`;
}

function isDocumented(symbol: ts.Symbol): boolean {
  return symbol.getDocumentationComment(checker).length > 0 || symbol.getJsDocTags(checker).length > 0;
}

/** Abstract methods are contracts that others implement: each needs its own words. */
function undocumentedContracts(symbol: ts.Symbol): string[] {
  return (symbol.declarations ?? [])
    .filter(ts.isClassDeclaration)
    .flatMap((declaration) => [...declaration.members])
    .filter((member) => ts.isMethodDeclaration(member) && (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Abstract) !== 0)
    .filter((member) => ts.getJSDocCommentsAndTags(member).length === 0)
    .map((member) => place(member, `${symbol.name}.${member.name?.getText() ?? ''}`));
}

const missing = doors.flatMap((door) => {
  const file = program.getSourceFile(door);
  const room = file === undefined ? undefined : checker.getSymbolAtLocation(file);
  if (room === undefined) return [`${relative(root, door)} exports nothing`];
  return checker.getExportsOfModule(room).flatMap((exported) => {
    const symbol = (exported.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(exported) : exported;
    const [declaration] = symbol.declarations ?? [];
    // What a room passes on from a package is documented there.
    if (declaration === undefined || declaration.getSourceFile().fileName.includes('/node_modules/')) return [];
    return [...(isDocumented(symbol) ? [] : [place(declaration, symbol.name)]), ...undocumentedContracts(symbol)];
  });
});

const unique = [...new Set(missing)].toSorted();
for (const line of unique) console.log(line);
console.log(unique.length === 0 ? `every export of ${doors.length} rooms is documented` : `${unique.length} exports lack a doc comment`);
process.exitCode = unique.length === 0 ? 0 : 1;
